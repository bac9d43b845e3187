// For NYX_STATIC_RUNTIME. The unwinder in GCC 12's libgcc asks glibc 2.35 where a module keeps its frame information. This
// does the same with what every glibc has, so that the module runs on older ones.
#include <dlfcn.h>
#include <link.h>

#ifdef DLFO_STRUCT_HAS_EH_DBASE // otherwise glibc has no such call here, and libgcc needs none

namespace {

struct Search {
    ElfW(Addr) address;
    dl_find_object* result;
};

// 1 when the module of `info` holds the address; the result is complete when it has frame information, too.
int look(dl_phdr_info* info, size_t, void* data) {
    const Search& search = *static_cast<Search*>(data);
    dl_find_object& result = *search.result;
    bool inside = false;
    result = {};
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr)& header = info->dlpi_phdr[i];
        const ElfW(Addr) start = info->dlpi_addr + header.p_vaddr;
        if (header.p_type == PT_LOAD && search.address - start < header.p_memsz) {
            inside = true;
            result.dlfo_map_start = reinterpret_cast<void*>(start);
            result.dlfo_map_end = reinterpret_cast<void*>(start + header.p_memsz);
        }
        if (header.p_type == PT_GNU_EH_FRAME) result.dlfo_eh_frame = reinterpret_cast<void*>(start);
    }
    return inside;
}

}  // namespace

// 0 when a module with frame information holds the address, else -1, as glibc's own.
extern "C" __attribute__((visibility("hidden"))) int _dl_find_object(void* address, dl_find_object* result) noexcept {
    Search search{reinterpret_cast<ElfW(Addr)>(address), result};
    return dl_iterate_phdr(look, &search) == 1 && result->dlfo_eh_frame ? 0 : -1;
}

#endif
