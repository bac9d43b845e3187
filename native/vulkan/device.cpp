#include "vulkan/device.hpp"

#include <cstdlib>

#include "errors.hpp"

namespace nyx {
namespace {

constexpr uint64_t kMaxWords = UINT32_MAX / 4;  // Kompute keeps sizes in 32 bits

std::string count_text(uint64_t count) { return std::to_string(count); }

uint32_t heap_of(vk::PhysicalDevice device, vk::MemoryPropertyFlags flags, uint32_t heaps) {
    const auto memory = device.getMemoryProperties();
    for (uint32_t i = 0; i < memory.memoryTypeCount; ++i) {
        if ((memory.memoryTypes[i].propertyFlags & flags) == flags) return memory.memoryTypes[i].heapIndex;
    }
    return heaps;
}

vk::MemoryPropertyFlags kind_flags(vk::PhysicalDevice device, const std::string& kind) {
    if (kind == "device") return vk::MemoryPropertyFlagBits::eDeviceLocal;
    const auto host = vk::MemoryPropertyFlagBits::eHostVisible | vk::MemoryPropertyFlagBits::eHostCoherent;
    const auto cached = host | vk::MemoryPropertyFlagBits::eHostCached;
    if (kind == "readback" && heap_of(device, cached, UINT32_MAX) != UINT32_MAX) return cached;
    return host;
}

}  // namespace

std::vector<Info> list_devices() {
    const auto all = loader().instance.enumeratePhysicalDevices();
    std::vector<Info> infos;
    for (uint32_t i = 0; i < all.size(); ++i) infos.push_back(describe(all[i], i));
    return infos;
}

Device::Device(uint32_t index) {
    std::vector<vk::PhysicalDevice> all;
    attempt("listing the devices", [&] { all = loader().instance.enumeratePhysicalDevices(); });
    if (index >= all.size()) {
        device_error("there is no Vulkan device " + count_text(index) + " here: there are " + count_text(all.size()) +
                     "; `nyx devices` lists them");
    }
    physical = all[index];
    attempt("opening the device", [&] {
        info = describe(physical, index);
        if (!info.problem.empty()) device_error(info.name + " cannot be used: " + info.problem);
        Features features(physical, std::min(info.api_version, loader().api_version));
        auto extensions = features.extensions();
        const float priority = 1.0f;
        const vk::DeviceQueueCreateInfo queue_info({}, info.queue_family, 1, &priority);
        vk::DeviceCreateInfo create({}, queue_info, {}, extensions);
        create.pNext = features.chain();
        handle = physical.createDevice(create);
    });
    queue = handle.getQueue(info.queue_family, 0);
}

Device::~Device() {
    if (!handle || hangs) return;
    for (const auto& [key, pipeline] : pipelines_) handle.destroy(vk::Pipeline(pipeline->handle));
    if (cache) handle.destroy(vk::PipelineCache(cache));
    handle.destroy();
}

std::vector<Heap> Device::heaps() const { return read_heaps(physical, info.memory_budget); }

void Device::fail(const std::string& what, const std::exception& error) {
    const std::string text = (info.name.empty() ? "Vulkan" : info.name) + ": " + what + " failed: " + error.what();
    const auto* vulkan = dynamic_cast<const vk::SystemError*>(&error);
    if (!vulkan) {
        if (dynamic_cast<const std::bad_alloc*>(&error)) memory_error(text + ": the host has no memory left");
        device_error(text);
    }
    switch (static_cast<vk::Result>(vulkan->code().value())) {
        case vk::Result::eErrorDeviceLost:
            lost = true;
            lost_error(text + "; the device was lost, resume from the last checkpoint");
        case vk::Result::eErrorOutOfDeviceMemory:
        case vk::Result::eErrorOutOfHostMemory:
        case vk::Result::eErrorOutOfPoolMemory:
        case vk::Result::eErrorFragmentedPool:
        case vk::Result::eErrorTooManyObjects:
        case vk::Result::eErrorMemoryMapFailed:
            memory_error(text + "; take a smaller batch or model, or --device cpu");
        default: device_error(text + "; `nyx devices` lists what is here");
    }
}

void Device::check_alive() const {
    if (lost) lost_error(info.name + " was lost; resume from the last checkpoint");
}

std::shared_ptr<Device::Pipeline> Device::pipeline(const std::string& key) {
    std::lock_guard<std::mutex> lock(pipelines_mutex_);
    auto& entry = pipelines_[key];
    if (!entry) entry = std::make_shared<Pipeline>();
    return entry;
}

void Device::take_cache(const std::string& data) {
    if (cache) misuse("the device has a pipeline cache already");
    attempt("making a pipeline cache", [&] {
        try {
            cache = handle.createPipelineCache(vk::PipelineCacheCreateInfo({}, data.size(), data.data()));
        } catch (const vk::SystemError&) {
            cache = handle.createPipelineCache(vk::PipelineCacheCreateInfo());
        }
    });
}

std::string Device::cache_data() {
    if (!cache || lost) return {};
    std::string data;
    attempt("reading the pipeline cache", [&] {
        const auto bytes = handle.getPipelineCacheData(vk::PipelineCache(cache));
        data.assign(bytes.begin(), bytes.end());
    });
    return data;
}

Buffer::Buffer(std::shared_ptr<Device> on, uint64_t words, const std::string& kind)
    : device(std::move(on)), words(words), kind(kind) {
    if (kind != "device" && kind != "host" && kind != "readback") misuse("a buffer is of kind device, host or readback, not " + kind);
    if (words == 0) misuse("a buffer has at least one word");
    device->check_alive();
    check_fits();
    const std::string what = "allocating " + bytes_text(words * 4) + " of " + kind + " memory";
    device->attempt(what, [&] {
        const bool mapped = kind != "device";
        // Kompute copies the first content of a mapped tensor from here; zero pages that are never touched cost nothing.
        std::unique_ptr<void, void (*)(void*)> zeros(mapped ? std::calloc(words, 4) : nullptr, std::free);
        if (mapped && !zeros) throw std::bad_alloc();
        Scope scope;
        scope.memory = kind_flags(device->physical, kind);
        tensor = scope.make([&] {
            return std::make_shared<kp::Tensor>(
                std::make_shared<vk::PhysicalDevice>(device->physical), std::make_shared<vk::Device>(device->handle),
                zeros.get(), static_cast<uint32_t>(words), 4u, kp::Tensor::TensorDataTypes::eUnsignedInt,
                mapped ? kp::Tensor::TensorTypes::eHost : kp::Tensor::TensorTypes::eStorage);
        });
    });
    device->allocated_bytes += words * 4;
    device->allocations += 1;
}

Buffer::~Buffer() {
    if (!tensor) return;
    if (device->hangs) new std::shared_ptr<kp::Tensor>(tensor);  // still in use: never freed
    device->allocated_bytes -= words * 4;
    device->allocations -= 1;
}

void Buffer::check_fits() const {
    const Info& info = device->info;
    const std::string wanted = info.name + ": a buffer of " + bytes_text(words * 4) + " is too large: ";
    if (words > kMaxWords) memory_error(wanted + "none is larger than " + bytes_text(kMaxWords * 4));
    const uint64_t bytes = words * 4;
    const uint64_t most = std::min(info.limit("max_storage_buffer_range"), info.limit("max_allocation_bytes"));
    if (bytes > most) {
        memory_error(wanted + "the device allows " + bytes_text(most) + " (" + count_text(bytes) + " > " + count_text(most) +
                     " bytes); take a smaller batch or model");
    }
    if (device->allocations >= info.limit("max_allocations")) {
        memory_error(info.name + ": it allows " + count_text(info.limit("max_allocations")) + " allocations, and all are in use");
    }
    const auto heaps = device->heaps();
    const uint32_t heap = heap_of(device->physical, kind_flags(device->physical, kind), heaps.size());
    if (heap == heaps.size()) memory_error(info.name + ": it has no memory of kind " + kind);
    const uint64_t used = info.memory_budget ? heaps[heap].used : device->allocated();
    const uint64_t free = heaps[heap].budget > used ? heaps[heap].budget - used : 0;
    if (bytes > free) {
        memory_error(wanted + bytes_text(free) + " of " + bytes_text(heaps[heap].budget) +
                     " are free; take a smaller batch or model, or --device cpu");
    }
}

void* Buffer::mapped(uint64_t offset_words, uint64_t count) const {
    if (kind == "device") misuse("a buffer of kind device cannot be reached by the host: copy through a host buffer");
    if (offset_words > words || count > words - offset_words) {
        misuse("words " + count_text(offset_words) + " to " + count_text(offset_words + count) + " do not lie in a buffer of " +
               count_text(words));
    }
    return static_cast<uint32_t*>(tensor->rawData()) + offset_words;
}

Module Kernel::checked_module(const std::string& spirv) const {
    Module module = read_module(spirv);
    check_module(module, device->info);
    const Info& info = device->info;
    if (buffers.empty()) misuse("a kernel works on at least one buffer");
    for (const auto& buffer : buffers) {
        if (!buffer || buffer->device != device) misuse("a kernel and its buffers must be of the same device");
    }
    if (buffers.size() > info.limit("max_storage_buffers")) {
        device_error(info.name + ": a kernel binds at most " + count_text(info.limit("max_storage_buffers")) + " buffers, not " +
                     count_text(buffers.size()));
    }
    if (module.bindings > buffers.size()) {
        misuse("this shader has " + count_text(module.bindings) + " bindings, and " + count_text(buffers.size()) + " buffers came");
    }
    if (push_words * 4 > info.limit("push_bytes")) {
        device_error(info.name + ": push constants have at most " + count_text(info.limit("push_bytes")) + " bytes, not " +
                     count_text(push_words * 4ull));
    }
    if (module.push_bytes > push_words * 4) {
        misuse("this shader reads " + count_text(module.push_bytes / 4) + " words of push constants, and " +
               count_text(push_words) + " were announced");
    }
    return module;
}

Kernel::Kernel(std::shared_ptr<Device> on, const std::string& spirv, std::vector<std::shared_ptr<Buffer>> with, uint32_t push_words)
    : device(std::move(on)), buffers(std::move(with)), push_words(push_words) {
    device->check_alive();
    const Module module = checked_module(spirv);
    std::copy_n(module.local_size, 3, local_size);
    std::vector<std::shared_ptr<kp::Tensor>> tensors;
    for (const auto& buffer : buffers) tensors.push_back(buffer->tensor);

    const auto pipeline = device->pipeline(spirv + "/" + count_text(buffers.size()) + "/" + count_text(push_words));
    std::lock_guard<std::mutex> lock(pipeline->mutex);
    device->attempt("making a pipeline", [&] {
        Scope scope;
        scope.pipeline = pipeline->handle;
        scope.cache = device->cache;
        algorithm = scope.make([&] {
            return std::make_shared<kp::Algorithm>(std::make_shared<vk::Device>(device->handle), tensors, module.words,
                                                   kp::Workgroup{1, 1, 1}, std::vector<uint32_t>{},
                                                   std::vector<uint32_t>(push_words));
        });
        pipeline->handle = scope.pipeline;
    });
}

Kernel::~Kernel() {
    if (!algorithm) return;
    if (device->hangs) {
        new std::shared_ptr<kp::Algorithm>(algorithm);  // still in use: never freed
        return;
    }
    Scope scope;
    scope.pipelines_stay = true;
    algorithm.reset();
}

}  // namespace nyx
