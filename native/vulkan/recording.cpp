#include "vulkan/recording.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "errors.hpp"

namespace nyx {
namespace {

using Access = vk::AccessFlagBits;
using Stage = vk::PipelineStageFlagBits;

void memory_barrier(vk::CommandBuffer commands, vk::PipelineStageFlags stages, vk::AccessFlags access) {
    const vk::MemoryBarrier barrier(Access::eShaderWrite, access);
    commands.pipelineBarrier(Stage::eComputeShader, stages, {}, barrier, {}, {});
}

constexpr double kLongest = 1e6;       // seconds; more is for ever, which no wait is
constexpr double kDestroyWaits = 60;   // seconds a Recording that goes away waits for its own submission

}  // namespace

Recording::Recording(std::shared_ptr<Device> on, bool ordered) : device(std::move(on)) {
    device->check_alive();
    try {
        device->attempt("starting a recording", [&] {
            pool_ = device->handle.createCommandPool(vk::CommandPoolCreateInfo({}, device->info.queue_family));
            fence_ = device->handle.createFence({});
            commands_ = device->handle.allocateCommandBuffers({pool_, vk::CommandBufferLevel::ePrimary, 1})[0];
            commands_.begin(vk::CommandBufferBeginInfo{});
        });
    } catch (...) {
        destroy();
        throw;
    }
    if (ordered) memory_barrier(commands_, Stage::eComputeShader, Access::eShaderRead | Access::eShaderWrite);
}

Recording::~Recording() {
    if (state_ == State::pending) {
        try {
            wait(kDestroyWaits, [] {});
        } catch (const std::exception&) {
            device->hangs = true;  // nobody knows what still runs, so nothing of it is freed
        }
    }
    if (!device->hangs) destroy();
}

void Recording::destroy() {
    if (fence_) device->handle.destroy(fence_);
    if (pool_) device->handle.destroy(pool_);
}

void Recording::dispatch(std::shared_ptr<Kernel> kernel, const uint32_t (&groups)[3], const std::string& push) {
    if (state_ != State::recording) misuse("this recording is finished: nothing can be added");
    if (!kernel || kernel->device != device) misuse("a recording and its kernels must be of the same device");
    if (push.size() != kernel->push_words * 4ull) {
        misuse("the kernel takes " + std::to_string(kernel->push_words * 4) + " bytes of push constants, " +
               std::to_string(push.size()) + " came");
    }
    for (int i = 0; i < 3; ++i) {
        if (groups[i] == 0 || groups[i] > device->info.max_groups[i]) {
            misuse(device->info.name + ": a dispatch has 1 to " + std::to_string(device->info.max_groups[i]) +
                   " workgroups in dimension " + std::to_string(i) + ", not " + std::to_string(groups[i]));
        }
    }
    kernels_.push_back(kernel);
    kp::Algorithm& algorithm = *kernel->algorithm;
    algorithm.setWorkgroup({groups[0], groups[1], groups[2]});
    if (!push.empty()) algorithm.setPushConstants(const_cast<char*>(push.data()), kernel->push_words, 4);
    algorithm.recordBindCore(commands_);
    algorithm.recordBindPush(commands_);
    algorithm.recordDispatch(commands_);
    ++dispatches;
}

void Recording::barrier() {
    if (state_ != State::recording) misuse("this recording is finished: nothing can be added");
    memory_barrier(commands_, Stage::eComputeShader, Access::eShaderRead | Access::eShaderWrite);
    ++barriers;
}

void Recording::finish() {
    if (state_ != State::recording) misuse("this recording is finished already");
    memory_barrier(commands_, Stage::eHost, Access::eHostRead);
    device->attempt("finishing a recording", [&] { commands_.end(); });
    state_ = State::ready;
}

void Recording::submit() {
    if (state_ == State::recording) misuse("this recording is not finished: call finish() before submit()");
    if (state_ == State::pending) misuse("this recording runs already: call wait() before it is submitted again");
    device->check_alive();
    device->attempt("submitting work", [&] {
        device->handle.resetFences(fence_);
        std::lock_guard<std::mutex> lock(device->queue_mutex);
        device->queue.submit(vk::SubmitInfo({}, {}, commands_), fence_);
    });
    state_ = State::pending;
}

void Recording::wait(double timeout_s, const std::function<void()>& poll) {
    if (!(timeout_s >= 0)) misuse("a wait takes a time of zero seconds or more");
    if (state_ != State::pending) return;
    device->check_alive();
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::duration<double>(std::min(timeout_s, kLongest));
    for (;;) {
        const std::chrono::duration<double> left = end - Clock::now();
        const double slice = std::clamp(left.count(), 0.0, 0.2);
        const auto result = device->attempt("waiting for the device", [&] {
            return device->handle.waitForFences(fence_, VK_TRUE, static_cast<uint64_t>(slice * 1e9));
        });
        if (result == vk::Result::eSuccess) break;
        if (left.count() <= 0) {
            device->lost = device->hangs = true;
            char seconds[32];
            std::snprintf(seconds, sizeof seconds, "%g", timeout_s);
            lost_error(device->info.name + " did not finish within " + seconds +
                       " s and is given up; resume from the last checkpoint");
        }
        poll();
    }
    state_ = State::ready;
}

}  // namespace nyx
