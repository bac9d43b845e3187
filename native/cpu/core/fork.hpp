// What a process that was forked does first: the one place that knows how systems say that.
#pragma once

#ifndef _WIN32
#include <pthread.h>
#endif

namespace nyx {

// `action` runs in every child from now on. Windows has no fork, so there nothing ever runs it.
inline void in_forked_child(void (*action)()) {
#ifdef _WIN32
    (void)action;
#else
    pthread_atfork(nullptr, nullptr, action);
#endif
}

}  // namespace nyx
