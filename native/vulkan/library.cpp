#include "vulkan/library.hpp"

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace nyx {
namespace {

#if defined(_WIN32)
const char* const kNames[] = {"vulkan-1.dll"};
#elif defined(__APPLE__)
const char* const kNames[] = {"libvulkan.1.dylib", "libvulkan.dylib", "/usr/local/lib/libvulkan.dylib",
                              "/opt/homebrew/lib/libvulkan.dylib", "libMoltenVK.dylib"};
#else
const char* const kNames[] = {"libvulkan.so.1", "libvulkan.so"};
#endif

void* find_symbol(const char* library, const char* symbol) {
#ifdef _WIN32
    const HMODULE handle = LoadLibraryA(library);
    return handle ? reinterpret_cast<void*>(GetProcAddress(handle, symbol)) : nullptr;
#else
    void* handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    return handle ? dlsym(handle, symbol) : nullptr;
#endif
}

}  // namespace

void* find_vulkan(std::string& tried) {
    tried.clear();
    for (const char* name : kNames) {
        if (void* symbol = find_symbol(name, "vkGetInstanceProcAddr")) return symbol;
        tried += (tried.empty() ? "" : ", ") + std::string(name);
    }
    return nullptr;
}

}  // namespace nyx
