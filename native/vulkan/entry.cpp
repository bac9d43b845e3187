#include "vulkan/entry.hpp"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>

#include "errors.hpp"

VULKAN_HPP_DEFAULT_DISPATCH_LOADER_DYNAMIC_STORAGE

namespace nyx {
namespace {

using Table = vk::DispatchLoaderDynamic;

thread_local Scope* current_scope = nullptr;

Table& table() { return VULKAN_HPP_DEFAULT_DISPATCHER; }

bool failed() { return current_scope && current_scope->failure < 0; }

VkResult note(VkResult result, const char* name) { return current_scope ? current_scope->note(result, name) : result; }

// An entry point that the Scope watches: after a failure it does nothing. `next` is the driver's.
template <auto Field>
struct Watched;

template <typename... Args, VkResult(VKAPI_PTR* Table::*Field)(Args...)>
struct Watched<Field> {
    static inline VkResult(VKAPI_PTR* next)(Args...) = nullptr;
    static inline const char* name = "";

    static VkResult VKAPI_CALL call(Args... args) {
        return failed() ? current_scope->failure : note(next(args...), name);
    }
};

template <typename... Args, void(VKAPI_PTR* Table::*Field)(Args...)>
struct Watched<Field> {
    static inline void(VKAPI_PTR* next)(Args...) = nullptr;
    static inline const char* name = "";

    static void VKAPI_CALL call(Args... args) {
        if (!failed()) next(args...);
    }
};

template <auto Field>
void watch(const char* name) {
    Watched<Field>::next = table().*Field;
    Watched<Field>::name = name;
    table().*Field = &Watched<Field>::call;
}

// The same for one that makes an object; the Scope learns how to destroy it.
template <auto Field, auto Destroy>
struct Making;

template <typename Info, typename Handle,
          VkResult(VKAPI_PTR* Table::*Field)(VkDevice, const Info*, const VkAllocationCallbacks*, Handle*),
          void(VKAPI_PTR* Table::*Destroy)(VkDevice, Handle, const VkAllocationCallbacks*)>
struct Making<Field, Destroy> {
    static VkResult VKAPI_CALL call(VkDevice device, const Info* info, const VkAllocationCallbacks* allocator, Handle* out) {
        if (failed()) return current_scope->failure;
        const VkResult result = note(next(device, info, allocator, out), name);
        if (result < 0) {
            *out = VK_NULL_HANDLE;
        } else if (current_scope) {
            current_scope->made([device, handle = *out] { (table().*Destroy)(device, handle, nullptr); });
        }
        return result;
    }

    static inline VkResult(VKAPI_PTR* next)(VkDevice, const Info*, const VkAllocationCallbacks*, Handle*) = nullptr;
    static inline const char* name = "";
};

template <auto Field, auto Destroy>
void watch_making(const char* name) {
    Making<Field, Destroy>::next = table().*Field;
    Making<Field, Destroy>::name = name;
    table().*Field = &Making<Field, Destroy>::call;
}

PFN_vkCreateComputePipelines real_create_pipelines = nullptr;
PFN_vkDestroyPipeline real_destroy_pipeline = nullptr;
PFN_vkGetPhysicalDeviceMemoryProperties real_memory_properties = nullptr;

VkResult VKAPI_CALL create_pipelines(VkDevice device, VkPipelineCache cache, uint32_t count,
                                     const VkComputePipelineCreateInfo* infos, const VkAllocationCallbacks* allocator,
                                     VkPipeline* out) {
    if (!failed() && current_scope && current_scope->pipeline) {
        *out = current_scope->pipeline;
        return VK_SUCCESS;
    }
    if (failed()) return current_scope->failure;
    const VkResult result =
        note(real_create_pipelines(device, cache, count, infos, allocator, out), "vkCreateComputePipelines");
    if (result >= 0 && current_scope) {
        current_scope->pipeline = *out;
        current_scope->made([device, pipeline = *out] { real_destroy_pipeline(device, pipeline, nullptr); });
    }
    return result;
}

void VKAPI_CALL destroy_pipeline(VkDevice device, VkPipeline pipeline, const VkAllocationCallbacks* allocator) {
    if (current_scope && current_scope->pipelines_stay) return;
    real_destroy_pipeline(device, pipeline, allocator);
}

void VKAPI_CALL memory_properties(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties* properties) {
    real_memory_properties(device, properties);
    if (!current_scope) return;
    const auto wanted = static_cast<VkMemoryPropertyFlags>(current_scope->memory);
    for (uint32_t i = 0; i < properties->memoryTypeCount; ++i) {
        auto& flags = properties->memoryTypes[i].propertyFlags;
        if ((flags & wanted) != wanted) flags = 0;
    }
}

// All host-visible memory here is coherent; Kompute flushes it once more when it unmaps, in a destructor.
VkResult VKAPI_CALL flush_nothing(VkDevice, uint32_t, const VkMappedMemoryRange*) { return VK_SUCCESS; }

void install() {
#define NYX_MAKING(create, destroy) watch_making<&Table::vk##create, &Table::vk##destroy>("vk" #create)
    NYX_MAKING(CreateBuffer, DestroyBuffer);
    NYX_MAKING(AllocateMemory, FreeMemory);
    NYX_MAKING(CreateDescriptorPool, DestroyDescriptorPool);
    NYX_MAKING(CreateDescriptorSetLayout, DestroyDescriptorSetLayout);
    NYX_MAKING(CreateShaderModule, DestroyShaderModule);
    NYX_MAKING(CreatePipelineLayout, DestroyPipelineLayout);
    NYX_MAKING(CreatePipelineCache, DestroyPipelineCache);
#undef NYX_MAKING
#define NYX_WATCH(call) watch<&Table::vk##call>("vk" #call)
    NYX_WATCH(BindBufferMemory);
    NYX_WATCH(MapMemory);
    NYX_WATCH(AllocateDescriptorSets);
    NYX_WATCH(GetBufferMemoryRequirements);
    NYX_WATCH(UpdateDescriptorSets);
#undef NYX_WATCH
    real_create_pipelines = table().vkCreateComputePipelines;
    real_destroy_pipeline = table().vkDestroyPipeline;
    real_memory_properties = table().vkGetPhysicalDeviceMemoryProperties;
    table().vkCreateComputePipelines = create_pipelines;
    table().vkDestroyPipeline = destroy_pipeline;
    table().vkGetPhysicalDeviceMemoryProperties = memory_properties;
    table().vkFlushMappedMemoryRanges = flush_nothing;
}

bool has_layer(const char* wanted) {
    for (const auto& layer : vk::enumerateInstanceLayerProperties()) {
        if (std::strcmp(layer.layerName, wanted) == 0) return true;
    }
    return false;
}

Loader make_loader() {
    static vk::DynamicLoader* library = nullptr;  // never closed: drivers keep threads that run its code
    if (!library) {
        try {
            library = new vk::DynamicLoader("libvulkan.so.1");
        } catch (const std::runtime_error&) {
            device_error("there is no Vulkan loader here: libvulkan.so.1 is missing (Debian: apt install libvulkan1)");
        }
    }
    table().init(library->getProcAddress<PFN_vkGetInstanceProcAddr>("vkGetInstanceProcAddr"));
    if (!table().vkCreateInstance) device_error("the Vulkan loader here is broken: it has no vkCreateInstance");

    Loader result;
    result.api_version = table().vkEnumerateInstanceVersion ? vk::enumerateInstanceVersion() : VK_API_VERSION_1_0;
    if (result.api_version < VK_API_VERSION_1_1) device_error("the Vulkan loader here is too old: Vulkan 1.1 is needed");
    result.api_version = std::min<uint32_t>(result.api_version, VK_API_VERSION_1_3);

    std::vector<const char*> layers;
    const char* validate = std::getenv("NYX_VALIDATION");
    if (validate && std::strcmp(validate, "1") == 0) {
        layers.push_back("VK_LAYER_KHRONOS_validation");
        if (!has_layer(layers[0])) {
            device_error("NYX_VALIDATION=1, but the validation layer is missing (Debian: apt install vulkan-validationlayers)");
        }
    }
    const vk::ApplicationInfo application("nyx", 1, "nyx", 1, result.api_version);
    try {
        result.instance = vk::createInstance(vk::InstanceCreateInfo({}, &application, layers, {}));
    } catch (const vk::IncompatibleDriverError&) {
        device_error("no Vulkan driver is installed here (a GPU's own driver, or Debian's mesa-vulkan-drivers)");
    } catch (const vk::SystemError& error) {
        device_error(std::string("Vulkan does not start here: ") + error.what());
    }
    table().init(result.instance);
    install();
    return result;
}

}  // namespace

const Loader& loader() {
    static std::mutex mutex;
    static std::unique_ptr<Loader> made;
    std::lock_guard<std::mutex> lock(mutex);
    if (!made) made = std::make_unique<Loader>(make_loader());
    return *made;
}

Scope::Scope() { current_scope = this; }

Scope::~Scope() {
    current_scope = nullptr;
    for (auto destroy = undo_.rbegin(); destroy != undo_.rend(); ++destroy) (*destroy)();
}

Scope* Scope::current() { return current_scope; }

VkResult Scope::note(VkResult result, const char* call) {
    if (result < 0 && failure >= 0) {
        failure = result;
        failed_call_ = call;
    }
    return result;
}

void Scope::check() const {
    if (failure < 0) throw vk::SystemError(vk::make_error_code(static_cast<vk::Result>(failure)), failed_call_);
}

}  // namespace nyx
