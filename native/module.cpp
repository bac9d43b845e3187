// nyx._core: the Python face of the native core. Types are in nyx/_core.pyi.
#include <pybind11/pybind11.h>

#include "errors.hpp"

namespace py = pybind11;

#ifndef NYX_NO_VULKAN
namespace nyx {
void bind_vulkan(py::module_& module);
}
#else
namespace {

const char* no_vulkan() {
    return "this build of Nyx has no Vulkan: " NYX_NO_VULKAN;
}

}  // namespace
#endif

#ifndef NYX_NO_KERNELS
namespace nyx {
void bind_kernels(py::module_& module);
}
#endif

PYBIND11_MODULE(_core, module) {
    module.doc() = "The native core of Nyx.";
    py::register_exception_translator([](std::exception_ptr pointer) {
        try {
            if (pointer) std::rethrow_exception(pointer);
        } catch (const nyx::Error& error) {
            const py::object type = py::module_::import("nyx.errors").attr(error.python_type);
            PyErr_SetString(type.ptr(), error.what());
        }
    });
#ifndef NYX_NO_VULKAN
    nyx::bind_vulkan(module);
#else
    module.def("vulkan_error", [] { return std::string(no_vulkan()); });
    module.def("devices", [] { return py::list(); });
#endif
#ifndef NYX_NO_KERNELS
    nyx::bind_kernels(module);
#else
    module.def("cpu_isas", [] { return py::list(); });
#endif
}
