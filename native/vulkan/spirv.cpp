#include "vulkan/spirv.hpp"

#include <algorithm>
#include <cstring>
#include <map>

#include "errors.hpp"

namespace nyx {
namespace {

enum Opcode : uint32_t {
    OpEntryPoint = 15, OpExecutionMode = 16, OpCapability = 17, OpTypePointer = 32, OpTypeStruct = 30,
    OpFunction = 54, OpFunctionEnd = 56, OpDecorate = 71, OpMemberDecorate = 72,
};
constexpr uint32_t kMagic = 0x07230203, kLocalSize = 17, kBinding = 33, kOffset = 35, kPushConstant = 9;

// A capability and the feature (Info::features) that it needs.
constexpr std::pair<uint32_t, const char*> kNeeds[] = {
    {9, "float16"}, {39, "int8"}, {4433, "storage16"}, {5345, "memory_model"},
    {5346, "memory_model_device_scope"}, {6022, "cooperative_matrix"},
};

}  // namespace

Module read_module(const std::string& bytes) {
    Module module;
    if (bytes.size() < 20 || bytes.size() % 4) {
        device_error("these " + std::to_string(bytes.size()) + " bytes are no SPIR-V module; run `make setup` again");
    }
    module.words.resize(bytes.size() / 4);
    std::memcpy(module.words.data(), bytes.data(), bytes.size());
    if (module.words[0] != kMagic) device_error("this is no SPIR-V module: it does not begin with 0x07230203");

    uint32_t main = 0, last = 0;  // the function of the entry point; the opcode before
    bool main_is_there = false;
    std::map<uint32_t, uint32_t> struct_end;  // the highest member offset of each struct, plus one word
    std::vector<uint32_t> pushed;             // the types that a push constant pointer points at
    for (size_t at = 5; at < module.words.size();) {
        const uint32_t count = module.words[at] >> 16, opcode = module.words[at] & 0xffff;
        if (count == 0 || at + count > module.words.size()) device_error("this SPIR-V module is cut short or damaged");
        const uint32_t* word = &module.words[at];
        if (opcode == OpEntryPoint && count > 3) {
            const char* name = reinterpret_cast<const char*>(word + 3);
            if (std::strncmp(name, "main", (count - 3) * 4) == 0) main = word[2];
        } else if (opcode == OpCapability && count == 2) {
            module.capabilities.push_back(word[1]);
        } else if (opcode == OpExecutionMode && count == 6 && word[2] == kLocalSize) {
            std::copy_n(word + 3, 3, module.local_size);
        } else if (opcode == OpDecorate && count == 4 && word[2] == kBinding) {
            module.bindings = std::max(module.bindings, word[3] + 1);
        } else if (opcode == OpMemberDecorate && count == 5 && word[3] == kOffset) {
            uint32_t& end = struct_end[word[1]];
            end = std::max(end, word[4] + 4);
        } else if (opcode == OpTypePointer && count == 4 && word[2] == kPushConstant) {
            pushed.push_back(word[3]);
        } else if (opcode == OpFunction && count == 5) {
            main_is_there = main_is_there || word[2] == main;
        }
        last = opcode;
        at += count;
    }
    if (last != OpFunctionEnd) device_error("this SPIR-V module is cut short or damaged");
    if (!main || !main_is_there) device_error("this SPIR-V module has no entry point \"main\"");
    for (const uint32_t type : pushed) module.push_bytes = std::max(module.push_bytes, struct_end[type]);
    return module;
}

void check_module(const Module& module, const Info& device) {
    const uint64_t size = uint64_t(module.local_size[0]) * module.local_size[1] * module.local_size[2];
    bool fits = size > 0 && size <= device.limit("max_invocations");
    for (int i = 0; i < 3; ++i) fits = fits && module.local_size[i] <= device.max_group_size[i];
    if (!fits) {
        device_error("a workgroup of this shader has " + std::to_string(size) + " invocations; " + device.name +
                     " allows " + std::to_string(device.limit("max_invocations")));
    }
    for (const auto& [capability, feature] : kNeeds) {
        const auto& all = module.capabilities;
        if (std::find(all.begin(), all.end(), capability) != all.end() && !device.feature(feature)) {
            device_error(std::string("this shader needs the feature ") + feature + ", which " + device.name + " lacks");
        }
    }
}

}  // namespace nyx
