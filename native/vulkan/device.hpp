// A device with its buffers and kernels. Everything made by a Device keeps it alive.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <kompute/Algorithm.hpp>
#include <kompute/Tensor.hpp>

#include "errors.hpp"
#include "vulkan/info.hpp"
#include "vulkan/spirv.hpp"

namespace nyx {

std::vector<Info> list_devices();

class Device {
  public:
    explicit Device(uint32_t index);
    ~Device();
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    std::vector<Heap> heaps() const;
    uint64_t allocated() const { return allocated_bytes; }

    // Runs `action`; what it throws becomes an Error that says what was being done, on which device.
    template <typename Action>
    auto attempt(const std::string& what, Action action) -> decltype(action()) {
        try {
            return action();
        } catch (const Error&) {
            throw;
        } catch (const std::exception& error) {
            fail(what, error);
        }
    }
    [[noreturn]] void fail(const std::string& what, const std::exception& error);
    void check_alive() const;

    // The pipelines, one per module, number of buffers and size of the push constants, shared by all Kernels.
    struct Pipeline {
        std::mutex mutex;  // held while it is made
        VkPipeline handle = nullptr;
    };
    std::shared_ptr<Pipeline> pipeline(const std::string& key);

    // What drivers keep of the pipelines that they made: given before the first of them, and read to be kept. It must be
    // whole: drivers crash on what is damaged. A driver that refuses it starts with none.
    void take_cache(const std::string& data);
    std::string cache_data();
    VkPipelineCache cache = nullptr;

    Info info;
    vk::PhysicalDevice physical;
    vk::Device handle;
    vk::Queue queue;
    std::mutex queue_mutex;          // a queue takes one submission at a time
    std::atomic<bool> lost{false};   // nothing more can be submitted
    std::atomic<bool> hangs{false};  // work is still running: what it uses must never be freed
    std::atomic<uint64_t> allocated_bytes{0};
    std::atomic<uint64_t> allocations{0};

  private:
    std::mutex pipelines_mutex_;
    std::map<std::string, std::shared_ptr<Pipeline>> pipelines_;
};

// A storage buffer of 4-byte words. "device": the device's own memory. "host": mapped, for what the host writes.
// "readback": mapped and cached where there is such memory, for what the host reads.
class Buffer {
  public:
    Buffer(std::shared_ptr<Device> device, uint64_t words, const std::string& kind);
    ~Buffer();
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    void* mapped(uint64_t offset_words, uint64_t words) const;  // checks the range

    const std::shared_ptr<Device> device;
    const uint64_t words;
    const std::string kind;
    std::shared_ptr<kp::Tensor> tensor;

  private:
    void check_fits() const;
};

// A shader with the buffers it works on.
class Kernel {
  public:
    Kernel(std::shared_ptr<Device> device, const std::string& spirv, std::vector<std::shared_ptr<Buffer>> buffers,
           uint32_t push_words);
    ~Kernel();
    Kernel(const Kernel&) = delete;
    Kernel& operator=(const Kernel&) = delete;

    const std::shared_ptr<Device> device;
    const std::vector<std::shared_ptr<Buffer>> buffers;
    const uint32_t push_words;
    uint32_t local_size[3] = {1, 1, 1};
    std::shared_ptr<kp::Algorithm> algorithm;

  private:
    Module checked_module(const std::string& spirv) const;
};

}  // namespace nyx
