// What a SPIR-V module asks of a device, read before a driver sees it: drivers crash on what does not fit.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vulkan/info.hpp"

namespace nyx {

struct Module {
    std::vector<uint32_t> words;
    uint32_t bindings = 0;  // one more than the highest binding
    uint32_t local_size[3] = {1, 1, 1};
    uint32_t push_bytes = 0;  // end of the push constant block's last member, at least
    std::vector<uint32_t> capabilities;
};

// Error (DeviceError) when the bytes are no SPIR-V module with whole instructions and an entry point "main".
Module read_module(const std::string& bytes);

// Error (DeviceError) when the device cannot run it: too many invocations, a capability it does not have.
void check_module(const Module& module, const Info& device);

}  // namespace nyx
