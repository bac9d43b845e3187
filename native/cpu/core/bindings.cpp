// The CPU kernels of native/cpu as Python sees them: which there are, and sequences of calls with everything bound.
#include "kernels.hpp"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstring>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "errors.hpp"

namespace py = pybind11;

// kernels.inc, made by CMake, has KERNEL(NAME) for every native/cpu/NAME.cpp.
#define KERNEL(name) void name(const Call& call);
#ifdef NYX_CPU_X86
namespace nyx::cpu::v4 {
#include "kernels.inc"
}
namespace nyx::cpu::v3 {
#include "kernels.inc"
}
#endif
namespace nyx::cpu::plain {
#include "kernels.inc"
}
#undef KERNEL

namespace nyx::cpu {
namespace {

struct Entry {
    const char* name;
    Kernel kernel;
};

struct Isa {
    const char* name;
    bool (*here)();
    std::vector<Entry> kernels;
};

// The best first. "v3" and "v4" are the levels of the x86-64 psABI.
const std::vector<Isa>& isas() {
    static const std::vector<Isa> all = {
#ifdef NYX_CPU_X86
#define KERNEL(name) {#name, &v4::name},
        {"AVX-512",
         [] {
             return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx2") &&
                    __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
         },
         {
#include "kernels.inc"
         }},
#undef KERNEL
#define KERNEL(name) {#name, &v3::name},
        {"AVX2",
         [] {
             return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
         },
         {
#include "kernels.inc"
         }},
#undef KERNEL
#endif
#define KERNEL(name) {#name, &plain::name},
        {"plain", [] { return true; }, {
#include "kernels.inc"
         }},
#undef KERNEL
    };
    return all;
}

std::vector<std::string> isa_names() {
    std::vector<std::string> names;
    for (const Isa& isa : isas())
        if (isa.here()) names.push_back(isa.name);
    return names;
}

Kernel find(const std::string& isa_name, const std::string& name) {
    for (const Isa& isa : isas()) {
        if (isa_name != isa.name || !isa.here()) continue;
        for (const Entry& entry : isa.kernels)
            if (name == entry.name) return entry.kernel;
        return nullptr;
    }
    misuse("this processor has no instruction set " + isa_name);
}

Array bind(const std::string& kernel, const py::array& array) {
    const auto wrong = [&](const char* why) { misuse("[" + kernel + "] a tensor of a CPU kernel " + why); };
    Array bound = {};
    bound.ndim = array.ndim();
    if (array.itemsize() != 4) wrong("must have elements of 4 bytes");
    if (bound.ndim < 1 || bound.ndim > 4) wrong("must have 1 to 4 dimensions");
    bound.data = const_cast<void*>(array.data());
    bound.rows = 1;
    for (int64_t i = 0; i < bound.ndim; ++i) bound.dims[i] = array.shape(i);
    for (int64_t i = 0; i + 1 < bound.ndim; ++i) bound.rows *= bound.dims[i];
    bound.cols = bound.row = bound.dims[bound.ndim - 1];
    if (bound.cols > 1 && array.strides(bound.ndim - 1) != 4) wrong("must have rows without gaps");
    bool first = true;
    int64_t inner = 1;  // rows between neighbours of this dimension
    for (int64_t i = bound.ndim - 2; i >= 0; inner *= bound.dims[i--]) {
        if (bound.dims[i] == 1) continue;
        const int64_t row = array.strides(i) / 4 / inner;
        if (first) bound.row = row;
        if (array.strides(i) != row * 4 * inner || row != bound.row || row < bound.cols)
            wrong("must have rows at equal distances");
        first = false;
    }
    bound.contiguous = bound.rows == 1 || bound.row == bound.cols;
    return bound;
}

// Calls of kernels, one after the other, with the GIL released. It keeps the arrays' memory alive.
class Sequence {
  public:
    explicit Sequence(std::string isa) : isa_(std::move(isa)) {}

    bool add(const std::string& name, const std::vector<std::optional<py::array>>& arrays, const py::dict& constants) {
        const Kernel kernel = find(isa_, name);
        if (!kernel) return false;
        if (arrays.size() > MAX_ARRAYS) misuse("[" + name + "] a CPU kernel has at most " + std::to_string(MAX_ARRAYS) + " tensors");
        Bound& bound = calls_.emplace_back();
        bound.kernel = kernel;
        for (size_t i = 0; i < arrays.size(); ++i) {
            if (!arrays[i]) continue;
            bound.call.arrays[i] = bind(name, *arrays[i]);
            kept_.push_back(*arrays[i]);
        }
        for (const auto& [key, value] : constants) {
            if (value.is_none()) continue;
            Constant constant = {intern(py::cast<std::string>(key)), 0, nullptr};
            if (py::isinstance<py::str>(value)) {
                constant.text = intern(py::cast<std::string>(value));
            } else {
                constant.number = py::cast<double>(value);
            }
            bound.constants.push_back(constant);
        }
        bound.call.constants = bound.constants.data();
        bound.call.constant_count = static_cast<int64_t>(bound.constants.size());
        return true;
    }

    void run(size_t first, std::optional<size_t> last) const {
        const size_t end = last ? *last : calls_.size();
        if (end > calls_.size()) misuse("the sequence has only " + std::to_string(calls_.size()) + " calls");
        const py::gil_scoped_release release;
        for (size_t i = first; i < end; ++i) calls_[i].kernel(calls_[i].call);
    }

    size_t size() const { return calls_.size(); }

  private:
    struct Bound {
        Kernel kernel = nullptr;
        Call call = {};
        std::vector<Constant> constants;
    };

    const char* intern(std::string text) { return texts_.emplace_back(std::move(text)).c_str(); }

    std::string isa_;
    std::deque<Bound> calls_;
    std::deque<std::string> texts_;
    std::vector<py::object> kept_;
};

const Constant& constant(const Call& call, const char* name) {
    for (int64_t i = 0; i < call.constant_count; ++i)
        if (!std::strcmp(call.constants[i].name, name)) return call.constants[i];
    misuse(std::string("a CPU kernel wants the constant ") + name + ", which its operation does not have");
}

}  // namespace

double number(const Call& call, const char* name) { return constant(call, name).number; }

bool is(const Call& call, const char* name, const char* text) {
    const char* value = constant(call, name).text;
    return value && !std::strcmp(value, text);
}

}  // namespace nyx::cpu

namespace nyx {

void bind_kernels(py::module_& module) {
    module.def("cpu_isas", &cpu::isa_names);
    module.def("cpu_threads", &cpu::threads);
    module.def("set_cpu_threads", &cpu::set_threads, py::arg("n"));
    py::class_<cpu::Sequence>(module, "CpuSequence")
        .def(py::init<std::string>(), py::arg("isa"))
        .def("add", &cpu::Sequence::add, py::arg("name"), py::arg("arrays"), py::arg("constants"))
        .def("run", &cpu::Sequence::run, py::arg("first") = 0, py::arg("last") = py::none())
        .def("__len__", &cpu::Sequence::size);
}

}  // namespace nyx
