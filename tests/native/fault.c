/* VK_LAYER_NYX_fault: a Vulkan layer that makes chosen calls fail.
   NYX_FAULT="vkQueueSubmit:3:-4:sticky" is entry point, which call, VkResult, and "sticky" when every later call fails too.
   Calls are counted from 1, and anew whenever NYX_FAULT changes. With NYX_FAULT="count" the layer fails nothing.
   nyx_fault_count(name) is how many calls there were. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

#define EXPORT __attribute__((visibility("default"))) /* not the headers' own macro: newer ones have none */

#define ENTRIES(X)                                                                                                     \
    X(vkAllocateCommandBuffers, (VkDevice a, const VkCommandBufferAllocateInfo *b, VkCommandBuffer *c), (a, b, c))     \
    X(vkAllocateDescriptorSets, (VkDevice a, const VkDescriptorSetAllocateInfo *b, VkDescriptorSet *c), (a, b, c))     \
    X(vkAllocateMemory, (VkDevice a, const VkMemoryAllocateInfo *b, const VkAllocationCallbacks *c, VkDeviceMemory *d), \
      (a, b, c, d))                                                                                                    \
    X(vkBeginCommandBuffer, (VkCommandBuffer a, const VkCommandBufferBeginInfo *b), (a, b))                            \
    X(vkBindBufferMemory, (VkDevice a, VkBuffer b, VkDeviceMemory c, VkDeviceSize d), (a, b, c, d))                    \
    X(vkCreateBuffer, (VkDevice a, const VkBufferCreateInfo *b, const VkAllocationCallbacks *c, VkBuffer *d),          \
      (a, b, c, d))                                                                                                    \
    X(vkCreateCommandPool, (VkDevice a, const VkCommandPoolCreateInfo *b, const VkAllocationCallbacks *c,              \
      VkCommandPool *d), (a, b, c, d))                                                                                 \
    X(vkCreateComputePipelines, (VkDevice a, VkPipelineCache b, uint32_t c, const VkComputePipelineCreateInfo *d,      \
      const VkAllocationCallbacks *e, VkPipeline *f), (a, b, c, d, e, f))                                              \
    X(vkCreateDescriptorPool, (VkDevice a, const VkDescriptorPoolCreateInfo *b, const VkAllocationCallbacks *c,        \
      VkDescriptorPool *d), (a, b, c, d))                                                                              \
    X(vkCreateDescriptorSetLayout, (VkDevice a, const VkDescriptorSetLayoutCreateInfo *b,                              \
      const VkAllocationCallbacks *c, VkDescriptorSetLayout *d), (a, b, c, d))                                         \
    X(vkCreateFence, (VkDevice a, const VkFenceCreateInfo *b, const VkAllocationCallbacks *c, VkFence *d),             \
      (a, b, c, d))                                                                                                    \
    X(vkCreatePipelineCache, (VkDevice a, const VkPipelineCacheCreateInfo *b, const VkAllocationCallbacks *c,          \
      VkPipelineCache *d), (a, b, c, d))                                                                               \
    X(vkCreatePipelineLayout, (VkDevice a, const VkPipelineLayoutCreateInfo *b, const VkAllocationCallbacks *c,        \
      VkPipelineLayout *d), (a, b, c, d))                                                                              \
    X(vkCreateShaderModule, (VkDevice a, const VkShaderModuleCreateInfo *b, const VkAllocationCallbacks *c,            \
      VkShaderModule *d), (a, b, c, d))                                                                                \
    X(vkEndCommandBuffer, (VkCommandBuffer a), (a))                                                                    \
    X(vkMapMemory, (VkDevice a, VkDeviceMemory b, VkDeviceSize c, VkDeviceSize d, VkMemoryMapFlags e, void **f),       \
      (a, b, c, d, e, f))                                                                                              \
    X(vkQueueSubmit, (VkQueue a, uint32_t b, const VkSubmitInfo *c, VkFence d), (a, b, c, d))                          \
    X(vkResetFences, (VkDevice a, uint32_t b, const VkFence *c), (a, b, c))                                            \
    X(vkWaitForFences, (VkDevice a, uint32_t b, const VkFence *c, VkBool32 d, uint64_t e), (a, b, c, d, e))

enum {
    INDEX_vkCreateDevice,
#define NUMBER(name, parameters, arguments) INDEX_##name,
    ENTRIES(NUMBER)
    ENTRY_COUNT
};
static const char *const names[] = {
    "vkCreateDevice",
#define NAME(name, parameters, arguments) #name,
    ENTRIES(NAME)
};
static int counts[ENTRY_COUNT];
static char current[256];

static int fails(int entry, VkResult *result) {
    const char *fault = getenv("NYX_FAULT");
    char name[64], sticky[16] = "";
    int nth, code;
    if (!fault) fault = "";
    if (strcmp(fault, current)) {
        snprintf(current, sizeof current, "%s", fault);
        memset(counts, 0, sizeof counts);
    }
    ++counts[entry];
    if (sscanf(fault, "%63[^:]:%d:%d:%15s", name, &nth, &code, sticky) < 3 || strcmp(name, names[entry])) return 0;
    if (counts[entry] != nth && !(sticky[0] && counts[entry] > nth)) return 0;
    *result = (VkResult)code;
    return 1;
}

EXPORT int nyx_fault_count(const char *name) {
    for (int i = 0; i < ENTRY_COUNT; ++i)
        if (!strcmp(name, names[i])) return counts[i];
    return -1;
}

#define HOOK(name, parameters, arguments)                                                                              \
    static PFN_##name next_##name;                                                                                     \
    static VKAPI_ATTR VkResult VKAPI_CALL hook_##name parameters {                                                     \
        VkResult result;                                                                                               \
        return fails(INDEX_##name, &result) ? result : next_##name arguments;                                          \
    }
ENTRIES(HOOK)

static PFN_vkGetInstanceProcAddr next_instance_address;
static PFN_vkGetDeviceProcAddr next_device_address;
static VkInstance the_instance;

static VKAPI_ATTR VkResult VKAPI_CALL hook_create_instance(const VkInstanceCreateInfo *info,
                                                           const VkAllocationCallbacks *allocator, VkInstance *out) {
    VkLayerInstanceCreateInfo *link = (VkLayerInstanceCreateInfo *)info->pNext;
    while (link && !(link->sType == VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO && link->function == VK_LAYER_LINK_INFO))
        link = (VkLayerInstanceCreateInfo *)link->pNext;
    if (!link) return VK_ERROR_INITIALIZATION_FAILED;
    next_instance_address = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    VkResult result = ((PFN_vkCreateInstance)next_instance_address(0, "vkCreateInstance"))(info, allocator, out);
    if (result == VK_SUCCESS) the_instance = *out;
    return result;
}

static VKAPI_ATTR VkResult VKAPI_CALL hook_create_device(VkPhysicalDevice physical, const VkDeviceCreateInfo *info,
                                                         const VkAllocationCallbacks *allocator, VkDevice *out) {
    VkResult result;
    if (fails(INDEX_vkCreateDevice, &result)) return result;
    VkLayerDeviceCreateInfo *link = (VkLayerDeviceCreateInfo *)info->pNext;
    while (link && !(link->sType == VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO && link->function == VK_LAYER_LINK_INFO))
        link = (VkLayerDeviceCreateInfo *)link->pNext;
    if (!link) return VK_ERROR_INITIALIZATION_FAILED;
    PFN_vkGetInstanceProcAddr instance_address = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    next_device_address = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    result = ((PFN_vkCreateDevice)instance_address(the_instance, "vkCreateDevice"))(physical, info, allocator, out);
    if (result != VK_SUCCESS) return result;
#define LOAD(name, parameters, arguments) next_##name = (PFN_##name)next_device_address(*out, #name);
    ENTRIES(LOAD)
    return VK_SUCCESS;
}

#define ANSWER(entry, parameters, arguments)                                                                           \
    if (!strcmp(name, #entry)) return (PFN_vkVoidFunction)hook_##entry;

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL device_address(VkDevice device, const char *name) {
    if (!strcmp(name, "vkGetDeviceProcAddr")) return (PFN_vkVoidFunction)device_address;
    ENTRIES(ANSWER)
    return next_device_address(device, name);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL instance_address(VkInstance instance, const char *name) {
    if (!strcmp(name, "vkCreateInstance")) return (PFN_vkVoidFunction)hook_create_instance;
    if (!strcmp(name, "vkCreateDevice")) return (PFN_vkVoidFunction)hook_create_device;
    if (!strcmp(name, "vkGetInstanceProcAddr")) return (PFN_vkVoidFunction)instance_address;
    if (!strcmp(name, "vkGetDeviceProcAddr")) return (PFN_vkVoidFunction)device_address;
    ENTRIES(ANSWER)
    return next_instance_address ? next_instance_address(instance, name) : 0;
}

EXPORT VKAPI_ATTR VkResult VKAPI_CALL
vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *interface) {
    if (interface->loaderLayerInterfaceVersion > 2) interface->loaderLayerInterfaceVersion = 2;
    interface->pfnGetInstanceProcAddr = instance_address;
    interface->pfnGetDeviceProcAddr = device_address;
    interface->pfnGetPhysicalDeviceProcAddr = 0;
    return VK_SUCCESS;
}
