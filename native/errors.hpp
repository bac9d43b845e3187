// The errors of the native core: each names the type of nyx/errors.py that Python raises for it.
#pragma once

#include <stdexcept>
#include <string>

namespace nyx {

class Error : public std::runtime_error {
  public:
    Error(const char* python_type, const std::string& message) : std::runtime_error(message), python_type(python_type) {}
    const char* python_type;
};

[[noreturn]] inline void device_error(const std::string& message) { throw Error("DeviceError", message); }
[[noreturn]] inline void memory_error(const std::string& message) { throw Error("DeviceMemoryError", message); }
[[noreturn]] inline void lost_error(const std::string& message) { throw Error("DeviceLostError", message); }
[[noreturn]] inline void misuse(const std::string& message) { throw Error("ProgramError", message); }

}  // namespace nyx
