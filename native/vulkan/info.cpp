#include "vulkan/info.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace nyx {
namespace {

uint32_t effective_api(vk::PhysicalDevice device) {
    return std::min(device.getProperties().apiVersion, loader().api_version);
}

const char* type_name(vk::PhysicalDeviceType type) {
    switch (type) {
        case vk::PhysicalDeviceType::eDiscreteGpu: return "discrete";
        case vk::PhysicalDeviceType::eIntegratedGpu: return "integrated";
        case vk::PhysicalDeviceType::eVirtualGpu: return "virtual";
        case vk::PhysicalDeviceType::eCpu: return "cpu";
        default: return "other";
    }
}

std::vector<std::string> operation_names(VkSubgroupFeatureFlags flags) {
    const std::pair<VkSubgroupFeatureFlagBits, const char*> all[] = {
        {VK_SUBGROUP_FEATURE_BASIC_BIT, "basic"},           {VK_SUBGROUP_FEATURE_VOTE_BIT, "vote"},
        {VK_SUBGROUP_FEATURE_ARITHMETIC_BIT, "arithmetic"}, {VK_SUBGROUP_FEATURE_BALLOT_BIT, "ballot"},
        {VK_SUBGROUP_FEATURE_SHUFFLE_BIT, "shuffle"},       {VK_SUBGROUP_FEATURE_SHUFFLE_RELATIVE_BIT, "shuffle_relative"},
        {VK_SUBGROUP_FEATURE_CLUSTERED_BIT, "clustered"},   {VK_SUBGROUP_FEATURE_QUAD_BIT, "quad"},
    };
    std::vector<std::string> names;
    for (const auto& [bit, name] : all) {
        if (flags & bit) names.push_back(name);
    }
    return names;
}

// The first family that computes and does not draw: its watchdog is longer and the desktop keeps its own queue.
bool find_queue_family(vk::PhysicalDevice device, uint32_t& family) {
    const auto families = device.getQueueFamilyProperties();
    bool found = false;
    for (uint32_t i = 0; i < families.size(); ++i) {
        const auto flags = families[i].queueFlags;
        if (!(flags & vk::QueueFlagBits::eCompute)) continue;
        const bool draws = static_cast<bool>(flags & vk::QueueFlagBits::eGraphics);
        if (!found || !draws) family = i;
        found = true;
        if (!draws) break;
    }
    return found;
}

std::string hex(const uint8_t* bytes, size_t count) {
    std::string text;
    char two[3];
    for (size_t i = 0; i < count; ++i) {
        std::snprintf(two, sizeof two, "%02x", bytes[i]);
        text += two;
    }
    return text;
}

void read_extended(vk::PhysicalDevice device, uint32_t api, Info& info) {
    const bool has_driver = api >= VK_API_VERSION_1_2 || has_extension(device, "VK_KHR_driver_properties");
    const bool has_control = api >= VK_API_VERSION_1_3 || has_extension(device, "VK_EXT_subgroup_size_control");
    vk::PhysicalDeviceSubgroupSizeControlProperties control;
    vk::PhysicalDeviceDriverProperties driver;
    vk::PhysicalDeviceMaintenance3Properties allocation;
    vk::PhysicalDeviceIDProperties ids;
    vk::PhysicalDeviceSubgroupProperties subgroup;
    allocation.pNext = &ids;
    ids.pNext = &subgroup;
    void** tail = &subgroup.pNext;
    if (has_driver) {
        *tail = &driver;
        tail = &driver.pNext;
    }
    if (has_control) *tail = &control;
    vk::PhysicalDeviceProperties2 properties;
    properties.pNext = &allocation;
    device.getProperties2(&properties);

    info.limits.emplace_back("max_allocation_bytes", allocation.maxMemoryAllocationSize);
    info.uuid = hex(ids.deviceUUID.data(), VK_UUID_SIZE);
    if (has_driver) {
        info.driver = driver.driverName.data();
        if (driver.driverInfo[0]) info.driver += std::string(" ") + driver.driverInfo.data();
    }
    info.subgroup_size = info.subgroup_min = info.subgroup_max = subgroup.subgroupSize;
    if (has_control) {
        info.subgroup_min = control.minSubgroupSize;
        info.subgroup_max = control.maxSubgroupSize;
    }
    if (subgroup.supportedStages & vk::ShaderStageFlagBits::eCompute) {
        info.subgroup_operations = operation_names(static_cast<VkSubgroupFeatureFlags>(subgroup.supportedOperations));
    }
}

}  // namespace

uint64_t Info::limit(const std::string& key) const {
    for (const auto& [name, value] : limits) {
        if (name == key) return value;
    }
    return 0;
}

bool Info::feature(const std::string& key) const {
    for (const auto& [name, value] : features) {
        if (name == key) return value;
    }
    return false;
}

bool has_extension(vk::PhysicalDevice device, const char* name) {
    for (const auto& extension : device.enumerateDeviceExtensionProperties()) {
        if (std::strcmp(extension.extensionName, name) == 0) return true;
    }
    return false;
}

void Features::link(void* next) {
    *tail_ = next;
    tail_ = reinterpret_cast<void**>(&static_cast<VkBaseOutStructure*>(next)->pNext);
}

Features::Features(vk::PhysicalDevice device, uint32_t api) {
    features_.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    storage16_.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES;
    float16_.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES;
    subgroup_.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES;
    memory_model_.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES;
    timeline_.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES;
    tail_ = &features_.pNext;
    link(&storage16_);
    // Each is in the core from some version on, and an extension before that.
    const auto offer = [&](void* structure, uint32_t core_since, const char* extension) {
        if (api < core_since) {
            if (!has_extension(device, extension)) return;
            extensions_.push_back(extension);
        }
        link(structure);
    };
    offer(&float16_, VK_API_VERSION_1_2, "VK_KHR_shader_float16_int8");
    offer(&memory_model_, VK_API_VERSION_1_2, "VK_KHR_vulkan_memory_model");
    offer(&timeline_, VK_API_VERSION_1_2, "VK_KHR_timeline_semaphore");
    offer(&subgroup_, VK_API_VERSION_1_3, "VK_EXT_subgroup_size_control");
    offer(&cooperative_, UINT32_MAX, "VK_KHR_cooperative_matrix");
    const char* portability = "VK_KHR_portability_subset";  // must be enabled where it is offered
    if (has_extension(device, portability)) extensions_.push_back(portability);
    device.getFeatures2(reinterpret_cast<vk::PhysicalDeviceFeatures2*>(&features_));
    cooperative_.robustBufferAccess = VK_FALSE;
    features_.features = {};  // nothing of Vulkan 1.0 is needed; robust buffer access would cost speed
}

std::vector<std::pair<std::string, bool>> Features::present() const {
    return {
        {"float16", float16_.shaderFloat16 == VK_TRUE},
        {"int8", float16_.shaderInt8 == VK_TRUE},
        {"storage16", storage16_.storageBuffer16BitAccess == VK_TRUE},
        {"subgroup_size_control", subgroup_.subgroupSizeControl == VK_TRUE},
        {"full_subgroups", subgroup_.computeFullSubgroups == VK_TRUE},
        {"memory_model", memory_model_.vulkanMemoryModel == VK_TRUE},
        {"memory_model_device_scope", memory_model_.vulkanMemoryModelDeviceScope == VK_TRUE},
        {"timeline", timeline_.timelineSemaphore == VK_TRUE},
        {"cooperative_matrix", cooperative_.cooperativeMatrix == VK_TRUE},
    };
}

std::vector<Heap> read_heaps(vk::PhysicalDevice device, bool memory_budget) {
    vk::PhysicalDeviceMemoryBudgetPropertiesEXT budget;
    vk::PhysicalDeviceMemoryProperties2 memory;
    if (memory_budget) memory.pNext = &budget;
    device.getMemoryProperties2(&memory);
    std::vector<Heap> heaps;
    for (uint32_t i = 0; i < memory.memoryProperties.memoryHeapCount; ++i) {
        const auto& heap = memory.memoryProperties.memoryHeaps[i];
        Heap result;
        result.bytes = heap.size;
        result.budget = memory_budget ? static_cast<uint64_t>(budget.heapBudget[i]) : heap.size;
        result.used = memory_budget ? static_cast<uint64_t>(budget.heapUsage[i]) : 0;
        result.device_local = static_cast<bool>(heap.flags & vk::MemoryHeapFlagBits::eDeviceLocal);
        heaps.push_back(result);
    }
    return heaps;
}

Info describe(vk::PhysicalDevice device, uint32_t index) {
    const auto properties = device.getProperties();
    const auto& limits = properties.limits;
    Info info;
    info.index = index;
    info.name = properties.deviceName.data();
    info.type = type_name(properties.deviceType);
    info.driver = std::to_string(properties.driverVersion);
    info.vendor_id = properties.vendorID;
    info.device_id = properties.deviceID;
    info.driver_version = properties.driverVersion;
    info.cache_uuid = hex(properties.pipelineCacheUUID.data(), VK_UUID_SIZE);
    info.api_version = properties.apiVersion;
    info.limits = {
        {"max_storage_buffer_range", limits.maxStorageBufferRange},
        {"max_storage_buffers", limits.maxPerStageDescriptorStorageBuffers},
        {"max_invocations", limits.maxComputeWorkGroupInvocations},
        {"shared_bytes", limits.maxComputeSharedMemorySize},
        {"push_bytes", limits.maxPushConstantsSize},
        {"max_allocations", limits.maxMemoryAllocationCount},
    };
    std::copy_n(limits.maxComputeWorkGroupCount.begin(), 3, info.max_groups);
    std::copy_n(limits.maxComputeWorkGroupSize.begin(), 3, info.max_group_size);

    const uint32_t api = effective_api(device);
    if (api < VK_API_VERSION_1_1) {
        info.problem = "its driver has only Vulkan 1.0";
        return info;
    }
    if (!find_queue_family(device, info.queue_family)) info.problem = "it has no compute queue";
    read_extended(device, api, info);
    info.memory_budget = has_extension(device, "VK_EXT_memory_budget");
    info.heaps = read_heaps(device, info.memory_budget);
    info.features = Features(device, api).present();
    return info;
}

std::string bytes_text(uint64_t bytes) {
    char text[32];
    if (bytes < 1024) std::snprintf(text, sizeof text, "%llu bytes", static_cast<unsigned long long>(bytes));
    else if (bytes < (1ull << 20)) std::snprintf(text, sizeof text, "%.1f KiB", bytes / 1024.0);
    else if (bytes < (1ull << 30)) std::snprintf(text, sizeof text, "%.1f MiB", bytes / 1048576.0);
    else std::snprintf(text, sizeof text, "%.2f GiB", bytes / 1073741824.0);
    return text;
}

}  // namespace nyx
