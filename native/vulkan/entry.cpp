#include "vulkan/entry.hpp"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>

#include "errors.hpp"
#include "vulkan/library.hpp"

VULKAN_HPP_DEFAULT_DISPATCH_LOADER_DYNAMIC_STORAGE

namespace nyx {
namespace {

// Vulkan-Hpp moves its names between namespaces (vk::detail since header 301), its macros stay: the type has no name here.
using Table = std::remove_reference_t<decltype(VULKAN_HPP_DEFAULT_DISPATCHER)>;

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
    if (current_scope && current_scope->cache) cache = current_scope->cache;
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

// All of a list that Vulkan gives in two calls.
template <typename Item, typename Enumerate>
std::vector<Item> all_of(Enumerate enumerate) {
    uint32_t count = 0;
    if (enumerate(&count, nullptr) < 0) return {};
    std::vector<Item> items(count);
    if (enumerate(&count, items.data()) < 0) return {};
    items.resize(count);
    return items;
}

bool has_layer(const char* wanted) {
    for (const auto& layer : all_of<VkLayerProperties>(table().vkEnumerateInstanceLayerProperties)) {
        if (std::strcmp(layer.layerName, wanted) == 0) return true;
    }
    return false;
}

bool has_instance_extension(const char* wanted) {
    const auto all = all_of<VkExtensionProperties>([](uint32_t* count, VkExtensionProperties* items) {
        return table().vkEnumerateInstanceExtensionProperties(nullptr, count, items);
    });
    for (const auto& extension : all) {
        if (std::strcmp(extension.extensionName, wanted) == 0) return true;
    }
    return false;
}

Loader make_loader() {
    static void* entry = nullptr;  // of the library, which stays open
    std::string tried;
    if (!entry) entry = find_vulkan(tried);
    if (!entry) {
        device_error("there is no Vulkan loader here: " + tried + " cannot be opened (Debian: apt install libvulkan1)");
    }
    table().init(reinterpret_cast<PFN_vkGetInstanceProcAddr>(entry));
    if (!table().vkCreateInstance) device_error("the Vulkan loader here is broken: it has no vkCreateInstance");

    Loader result;
    result.api_version = VK_API_VERSION_1_0;
    if (table().vkEnumerateInstanceVersion) table().vkEnumerateInstanceVersion(&result.api_version);
    if (result.api_version < VK_API_VERSION_1_1) device_error("the Vulkan loader here is too old: Vulkan 1.1 is needed");
    result.api_version = std::min<uint32_t>(result.api_version, VK_API_VERSION_1_3);

    std::vector<const char*> layers, extensions;
    const char* validate = std::getenv("NYX_VALIDATION");
    if (validate && std::strcmp(validate, "1") == 0) {
        layers.push_back("VK_LAYER_KHRONOS_validation");
        if (!has_layer(layers[0])) {
            device_error("NYX_VALIDATION=1, but the validation layer is missing (Debian: apt install vulkan-validationlayers)");
        }
    }
    VkApplicationInfo application{};
    application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
    application.pApplicationName = application.pEngineName = "nyx";
    application.applicationVersion = application.engineVersion = 1;
    application.apiVersion = result.api_version;
    VkInstanceCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
    info.pApplicationInfo = &application;
    // A driver over another interface (MoltenVK over Metal) is listed only for those who ask for such.
    if (has_instance_extension("VK_KHR_portability_enumeration")) {
        extensions.push_back("VK_KHR_portability_enumeration");
        info.flags = VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
    }
    info.enabledLayerCount = static_cast<uint32_t>(layers.size());
    info.ppEnabledLayerNames = layers.data();
    info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
    info.ppEnabledExtensionNames = extensions.data();
    VkInstance instance = nullptr;
    const VkResult made = table().vkCreateInstance(&info, nullptr, &instance);
    if (made == VK_ERROR_INCOMPATIBLE_DRIVER) {
        device_error("no Vulkan driver is installed here (a GPU's own driver, or Debian's mesa-vulkan-drivers)");
    }
    if (made < 0) device_error("Vulkan does not start here: vkCreateInstance gives " + std::to_string(made));
    result.instance = instance;
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
