// The Vulkan loader of the system, opened at run time: the one place that knows its names and how libraries are opened.
#pragma once

#include <string>

namespace nyx {

// vkGetInstanceProcAddr of the first loader that is found, or nullptr; then `tried` names what was looked for. The
// library is never closed: drivers keep threads that run its code.
void* find_vulkan(std::string& tried);

}  // namespace nyx
