// For NYX_STATIC_RUNTIME. glibc 2.38 renamed strtoul for C23, which adds binary numbers; libstdc++ made with it asks for the new
// name, and does not need the new numbers. The old name is in every glibc.
#include <cstdlib>

#if defined(__GLIBC__) && defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 38)

extern "C" unsigned long old_strtoul(const char* text, char** end, int base) noexcept __asm__("strtoul");

extern "C" __attribute__((visibility("hidden"))) unsigned long new_strtoul(const char* text, char** end, int base) noexcept
    __asm__("__isoc23_strtoul");

unsigned long new_strtoul(const char* text, char** end, int base) noexcept { return old_strtoul(text, end, base); }

#endif
#endif
