// Dispatches recorded once and submitted many times.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "vulkan/device.hpp"

namespace nyx {

class Recording {
  public:
    // `ordered`: it starts after, and sees, all that was submitted before it.
    Recording(std::shared_ptr<Device> device, bool ordered);
    ~Recording();
    Recording(const Recording&) = delete;
    Recording& operator=(const Recording&) = delete;

    void dispatch(std::shared_ptr<Kernel> kernel, const uint32_t (&groups)[3], const std::string& push);
    void barrier();  // what was dispatched before has written, before what follows reads or writes
    void finish();   // nothing more is recorded; the host sees all writes after wait()
    void submit();   // returns at once
    // Waits until the submission is done. `poll` is called a few times a second and may throw. Without a submission
    // it returns at once. After `timeout_s` seconds, Error (DeviceLostError).
    void wait(double timeout_s, const std::function<void()>& poll);

    const std::shared_ptr<Device> device;
    size_t dispatches = 0, barriers = 0;

  private:
    enum class State { recording, ready, pending };
    void destroy();

    State state_ = State::recording;
    vk::CommandPool pool_;
    vk::CommandBuffer commands_;
    vk::Fence fence_;
    std::vector<std::shared_ptr<Kernel>> kernels_;
};

}  // namespace nyx
