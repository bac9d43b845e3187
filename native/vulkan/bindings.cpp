// The Vulkan part of nyx._core. The GIL is released wherever a driver may take its time.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "errors.hpp"
#include "vulkan/recording.hpp"

namespace py = pybind11;

namespace nyx {
namespace {

py::tuple triple(const uint32_t (&values)[3]) { return py::make_tuple(values[0], values[1], values[2]); }

py::list heap_list(const std::vector<Heap>& heaps) {
    py::list list;
    for (const Heap& heap : heaps) {
        py::dict entry;
        entry["bytes"] = heap.bytes;
        entry["budget"] = heap.budget;
        entry["used"] = heap.used;
        entry["device_local"] = heap.device_local;
        list.append(entry);
    }
    return list;
}

py::dict info_dict(const Info& info) {
    py::dict limits, features, subgroup, result;
    for (const auto& [name, value] : info.limits) limits[name.c_str()] = value;
    limits["max_groups"] = triple(info.max_groups);
    limits["max_group_size"] = triple(info.max_group_size);
    for (const auto& [name, value] : info.features) features[name.c_str()] = value;
    subgroup["size"] = info.subgroup_size;
    subgroup["min"] = info.subgroup_min;
    subgroup["max"] = info.subgroup_max;
    subgroup["operations"] = info.subgroup_operations;
    result["index"] = info.index;
    result["name"] = info.name;
    result["type"] = info.type;
    result["vendor_id"] = info.vendor_id;
    result["device_id"] = info.device_id;
    result["driver_version"] = info.driver_version;
    result["cache_uuid"] = info.cache_uuid;
    result["driver"] = info.driver;
    result["api_version"] = std::to_string(VK_API_VERSION_MAJOR(info.api_version)) + "." +
                            std::to_string(VK_API_VERSION_MINOR(info.api_version)) + "." +
                            std::to_string(VK_API_VERSION_PATCH(info.api_version));
    result["uuid"] = info.uuid;
    result["problem"] = info.problem.empty() ? py::object(py::none()) : py::object(py::str(info.problem));
    result["heaps"] = heap_list(info.heaps);
    result["limits"] = limits;
    result["subgroup"] = subgroup;
    result["features"] = features;
    return result;
}

std::vector<Info> listed() {
    try {
        return list_devices();
    } catch (const vk::SystemError& error) {
        device_error("a Vulkan driver is here and cannot open its device (" + vk::to_string(vk::Result(error.code().value())) + ")");
    }
}

py::object vulkan_error() {
    try {
        if (listed().empty()) return py::str("Vulkan is installed here, but no driver offers a device");
        return py::none();
    } catch (const Error& error) {
        return py::str(error.what());
    }
}

py::list devices() {
    py::list list;
    try {
        for (const Info& info : listed()) list.append(info_dict(info));
    } catch (const Error&) {  // vulkan_error() has the reason
        return py::list();
    }
    return list;
}

// The words of a contiguous array of 4-byte elements.
py::buffer_info words_of(const py::buffer& array, bool writable) {
    py::buffer_info view = array.request(writable);
    if (view.itemsize != 4) misuse("an array of 4-byte elements is needed, not of " + std::to_string(view.itemsize));
    py::ssize_t expected = 4;
    for (py::ssize_t i = view.ndim - 1; i >= 0; --i) {
        if (view.shape[i] > 1 && view.strides[i] != expected && view.size > 0) misuse("a contiguous array is needed");
        expected *= view.shape[i];
    }
    return view;
}

void write_words(Buffer& buffer, uint64_t offset, const py::buffer& array) {
    const py::buffer_info view = words_of(array, false);
    void* target = buffer.mapped(offset, view.size);
    py::gil_scoped_release release;
    std::memcpy(target, view.ptr, view.size * 4);
}

void read_words(const Buffer& buffer, uint64_t offset, const py::buffer& array) {
    const py::buffer_info view = words_of(array, true);
    const void* source = buffer.mapped(offset, view.size);
    py::gil_scoped_release release;
    std::memcpy(view.ptr, source, view.size * 4);
}

void poll_signals() {
    py::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

// Frees outside of the GIL what may have to wait for the device.
struct ReleasingDelete {
    void operator()(Recording* recording) const {
        if (PyGILState_Check()) {
            py::gil_scoped_release release;
            delete recording;
        } else {
            delete recording;
        }
    }
};

py::dict memory_dict(const Device& device) {
    py::dict result;
    result["heaps"] = heap_list(device.heaps());
    result["allocated"] = device.allocated();
    return result;
}

using Unlocked = py::call_guard<py::gil_scoped_release>;

}  // namespace

void bind_vulkan(py::module_& module) {
    module.def("vulkan_error", &vulkan_error);
    module.def("devices", &devices);

    py::class_<Buffer, std::shared_ptr<Buffer>>(module, "Buffer")
        .def_readonly("words", &Buffer::words)
        .def_readonly("kind", &Buffer::kind)
        .def("write", &write_words, py::arg("offset_words"), py::arg("array"))
        .def("read", &read_words, py::arg("offset_words"), py::arg("array"));

    py::class_<Kernel, std::shared_ptr<Kernel>>(module, "Kernel")
        .def_readonly("push_words", &Kernel::push_words)
        .def_property_readonly("local_size", [](const Kernel& kernel) { return triple(kernel.local_size); });

    py::class_<Recording, std::shared_ptr<Recording>>(module, "Recording")
        .def_readonly("dispatches", &Recording::dispatches)
        .def_readonly("barriers", &Recording::barriers)
        .def(
            "dispatch",
            [](Recording& recording, std::shared_ptr<Kernel> kernel, std::array<uint32_t, 3> groups, const py::bytes& push) {
                recording.dispatch(std::move(kernel), {groups[0], groups[1], groups[2]}, std::string(push));
            },
            py::arg("kernel"), py::arg("groups"), py::arg("push") = py::bytes())
        .def("barrier", &Recording::barrier)
        .def("finish", &Recording::finish)
        .def("submit", &Recording::submit, Unlocked())
        .def(
            "wait", [](Recording& recording, double timeout_s) { recording.wait(timeout_s, poll_signals); },
            py::arg("timeout_s"), Unlocked());

    py::class_<Device, std::shared_ptr<Device>>(module, "Device")
        .def(py::init<uint32_t>(), py::arg("index"), Unlocked())
        .def_property_readonly("info", [](const Device& device) { return info_dict(device.info); })
        .def_property_readonly("lost", [](const Device& device) { return device.lost.load(); })
        .def("memory", &memory_dict)
        .def(
            "take_cache", [](Device& device, const py::bytes& data) { device.take_cache(std::string(data)); }, py::arg("data"))
        .def("cache_data", [](Device& device) { return py::bytes(device.cache_data()); })
        .def(
            "buffer",
            [](std::shared_ptr<Device> device, uint64_t words, const std::string& kind) {
                return std::make_shared<Buffer>(std::move(device), words, kind);
            },
            py::arg("words"), py::arg("kind"), Unlocked())
        .def(
            "kernel",
            [](std::shared_ptr<Device> device, const py::bytes& spirv, std::vector<std::shared_ptr<Buffer>> buffers,
               uint32_t push_words) {
                const std::string module = spirv;
                py::gil_scoped_release release;
                return std::make_shared<Kernel>(std::move(device), module, std::move(buffers), push_words);
            },
            py::arg("spirv"), py::arg("buffers"), py::arg("push_words"))
        .def(
            "recording",
            [](std::shared_ptr<Device> device, bool ordered) {
                return std::shared_ptr<Recording>(new Recording(std::move(device), ordered), ReleasingDelete());
            },
            py::arg("ordered") = true);
}

}  // namespace nyx
