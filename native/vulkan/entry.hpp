// The table of Vulkan entry points, and what lies between Kompute and the driver.
//
// Kompute ignores the results of most of its calls, gives every Algorithm a pipeline of its own, and takes the first
// host-visible memory type. All its calls go through vulkan.hpp's dispatch table, so the table is where this is put
// right, for the calls made inside of a Scope.
#pragma once

#include <functional>
#include <vector>

#include <vulkan/vulkan.hpp>

namespace nyx {

// The table behind every vk:: call; its instance is made on first use and lives as long as the process.
struct Loader {
    vk::Instance instance;
    uint32_t api_version = 0;
};

// Opens libvulkan, makes the instance and fills the table. Error (DeviceError) when that cannot be; a later call tries
// again.
const Loader& loader();

// What holds for the Vulkan calls of this thread while it lives. Scopes do not nest.
class Scope {
  public:
    Scope();
    ~Scope();  // destroys what was made here and not handed over by make()
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

    // Runs `construct`. After the first call that fails no other reaches the driver; then, or when `construct` throws,
    // all that it made is destroyed and vk::SystemError says which call failed and how.
    template <typename Construct>
    auto make(Construct construct) -> decltype(construct()) {
        try {
            auto made = construct();
            undo_.clear();  // from here on it destroys itself
            check();
            return made;
        } catch (const std::exception&) {
            check();  // the call that failed first, where there is one
            throw;
        }
    }

    vk::MemoryPropertyFlags memory;  // memory types without all of these are hidden
    VkPipeline pipeline = nullptr;   // in: hand out this one instead of making one; out: the one that was made
    VkPipelineCache cache = nullptr;  // what pipelines are looked up in, instead of one of their own
    bool pipelines_stay = false;     // pipelines belong to the Device: destroying one does nothing

    // For the entry points.
    static Scope* current();
    void made(std::function<void()> destroy) { undo_.push_back(std::move(destroy)); }
    VkResult note(VkResult result, const char* call);
    VkResult failure = VK_SUCCESS;

  private:
    void check() const;
    const char* failed_call_ = "";
    std::vector<std::function<void()>> undo_;
};

}  // namespace nyx
