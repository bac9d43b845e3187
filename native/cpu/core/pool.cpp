// The threads that CPU kernels share. They sleep while there is nothing to do, after a short wait for the next kernel.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include "fork.hpp"
#include "kernels.hpp"

namespace nyx::cpu {
namespace {

constexpr auto LINGER = std::chrono::microseconds(50);  // a kernel takes about as long
constexpr int MAX_THREADS = 256;

void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Waits a little without giving the processor away; false when the time is over.
template <class Ready>
bool linger(const Ready& ready) {
    const auto end = std::chrono::steady_clock::now() + LINGER;
    do {
        for (int i = 0; i < 64; ++i) {
            if (ready()) return true;
            relax();
        }
    } while (std::chrono::steady_clock::now() < end);
    return ready();
}

class Pool {
  public:
    void run(int64_t n, Item item, void* context, int wanted) {
        const std::lock_guard<std::mutex> one_caller(calling_);
        wanted = 1 + hire(wanted - 1);
        n_ = n;
        item_ = item;
        context_ = context;
        failure_ = nullptr;
        next_ = 0;
        seats_ = wanted - 1;
        open_ = true;
        ++generation_;
        if (sleepers_ > 0) {
            const std::lock_guard<std::mutex> lock(mutex_);
            for (int i = 1; i < wanted; ++i) wake_.notify_one();
        }
        take_items();
        open_ = false;  // a worker that comes later finds the door closed
        if (!linger([this] { return inside_ == 0; })) {
            std::unique_lock<std::mutex> lock(mutex_);
            waiting_ = true;
            done_.wait(lock, [this] { return inside_ == 0; });
            waiting_ = false;
        }
        if (failure_) std::rethrow_exception(failure_);
    }

  private:
    // Starts threads until there are `wanted`, or as many as the system gives; returns how many of those there are.
    int hire(int wanted) {
        try {
            for (; workers_ < wanted; ++workers_) std::thread([this] { work(); }).detach();
        } catch (const std::system_error&) {
            return workers_;
        }
        return wanted;
    }

    void take_items() {
        for (int64_t i = next_++; i < n_; i = next_++) {
            try {
                item_(context_, i);
            } catch (...) {
                const std::lock_guard<std::mutex> lock(mutex_);
                failure_ = std::current_exception();
            }
        }
    }

    void work() {
        uint64_t seen = 0;
        const auto news = [&] { return generation_ != seen; };
        for (;;) {
            if (!linger(news)) {
                std::unique_lock<std::mutex> lock(mutex_);
                ++sleepers_;
                wake_.wait(lock, news);
                --sleepers_;
            }
            seen = generation_;
            ++inside_;
            if (open_ && seats_-- > 0) take_items();
            if (--inside_ == 0 && waiting_) {
                const std::lock_guard<std::mutex> lock(mutex_);
                done_.notify_one();
            }
        }
    }

    std::mutex calling_, mutex_;
    std::condition_variable wake_, done_;
    std::atomic<uint64_t> generation_{0};
    std::atomic<int64_t> next_{0};
    std::atomic<int> inside_{0}, sleepers_{0}, seats_{0};
    std::atomic<bool> open_{false}, waiting_{false};
    int workers_ = 0;
    int64_t n_ = 0;
    Item item_ = nullptr;
    void* context_ = nullptr;
    std::exception_ptr failure_;
};

// Never destroyed: the threads live until the process ends. A child that was forked has none, and starts its own.
std::atomic<Pool*> the_pool{nullptr};
std::mutex* making = new std::mutex;
std::atomic<int> thread_count{1};

// At load: a fork that has begun before its action is registered, while another thread makes the pool, would miss it.
[[maybe_unused]] const bool registered = [] {
    in_forked_child([] {
        the_pool = nullptr;
        making = new std::mutex;
    });
    return true;
}();

Pool& pool() {
    if (!the_pool) {
        const std::lock_guard<std::mutex> lock(*making);
        if (!the_pool) the_pool = new Pool;
    }
    return *the_pool;
}

struct Memory {
    float* data = nullptr;
    int64_t floats = 0;
    ~Memory() { std::free(data); }
};
thread_local Memory memory[SCRATCHES];

}  // namespace

int threads() { return thread_count; }

void set_threads(int n) { thread_count = n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : n; }

void run_items(int64_t n, Item item, void* context) {
    const int64_t wanted = n < thread_count ? n : thread_count.load();
    if (wanted <= 1) {
        for (int64_t i = 0; i < n; ++i) item(context, i);
    } else {
        pool().run(n, item, context, static_cast<int>(wanted));
    }
}

float* scratch(Scratch which, int64_t floats) {
    Memory& mine = memory[which];
    if (mine.floats < floats) {
        std::free(mine.data);
        mine = {};
        const int64_t rounded = (floats + 15) / 16 * 16;
        mine.data = static_cast<float*>(std::aligned_alloc(64, rounded * sizeof(float)));
        if (!mine.data) throw std::bad_alloc();
        mine.floats = rounded;
    }
    return mine.data;
}

}  // namespace nyx::cpu
