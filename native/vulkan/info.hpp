// What a physical device is and can: read once, used for the list of devices and for the checks before every call.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "vulkan/entry.hpp"

namespace nyx {

struct Heap {
    uint64_t bytes = 0;
    uint64_t budget = 0;  // what this process may use now, what it uses already included
    uint64_t used = 0;    // by this process, as far as the driver says (0 without VK_EXT_memory_budget)
    bool device_local = false;
};

struct Info {
    uint32_t index = 0;
    std::string name, type, driver, uuid, cache_uuid;
    std::string problem;  // why it cannot compute for Nyx; empty when it can
    uint32_t vendor_id = 0, device_id = 0, driver_version = 0, api_version = 0, queue_family = 0;
    bool memory_budget = false;
    std::vector<Heap> heaps;
    std::vector<std::pair<std::string, uint64_t>> limits;  // single numbers only; see also groups and group_size
    uint32_t max_groups[3] = {0, 0, 0}, max_group_size[3] = {0, 0, 0};
    uint32_t subgroup_size = 0, subgroup_min = 0, subgroup_max = 0;
    std::vector<std::string> subgroup_operations;
    std::vector<std::pair<std::string, bool>> features;

    uint64_t limit(const std::string& key) const;
    bool feature(const std::string& key) const;
};

// The features Nyx can use, as one chain: filled by a query, then handed to vkCreateDevice as it is.
class Features {
  public:
    explicit Features(vk::PhysicalDevice device, uint32_t api_version);
    const void* chain() { return &features_; }
    const std::vector<const char*>& extensions() const { return extensions_; }
    std::vector<std::pair<std::string, bool>> present() const;
    Features(const Features&) = delete;
    Features& operator=(const Features&) = delete;

  private:
    // VK_KHR_cooperative_matrix is younger than Debian 12's headers.
    struct CooperativeMatrix {
        VkStructureType sType = static_cast<VkStructureType>(1000506000);
        void* pNext = nullptr;
        VkBool32 cooperativeMatrix = VK_FALSE;
        VkBool32 robustBufferAccess = VK_FALSE;
    };
    void link(void* next);

    VkPhysicalDeviceFeatures2 features_{};
    VkPhysicalDevice16BitStorageFeatures storage16_{};
    VkPhysicalDeviceShaderFloat16Int8Features float16_{};
    VkPhysicalDeviceSubgroupSizeControlFeatures subgroup_{};
    VkPhysicalDeviceVulkanMemoryModelFeatures memory_model_{};
    VkPhysicalDeviceTimelineSemaphoreFeatures timeline_{};
    CooperativeMatrix cooperative_;
    void** tail_ = nullptr;
    std::vector<const char*> extensions_;
};

bool has_extension(vk::PhysicalDevice device, const char* name);
Info describe(vk::PhysicalDevice device, uint32_t index);
std::vector<Heap> read_heaps(vk::PhysicalDevice device, bool memory_budget);
std::string bytes_text(uint64_t bytes);  // "1.5 GiB"

}  // namespace nyx
