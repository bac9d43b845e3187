// What a CPU kernel is called with. The files of native/cpu are compiled once for every instruction set, so this header
// holds plain data and declarations alone: inline code here would be one function for all of them, and the linker might
// keep the copy that an older processor cannot run.
#pragma once

#include <cstdint>

namespace nyx::cpu {

// A tensor: rows of `cols` elements of 4 bytes, `row` elements from the start of one to the start of the next.
struct Array {
    void* data;  // null where an optional tensor is absent
    int64_t dims[4];
    int64_t ndim, rows, cols, row;
    bool contiguous;
};

// A constant of a Step: a number, or a text where that is not null.
struct Constant {
    const char* name;
    double number;
    const char* text;
};

constexpr int MAX_ARRAYS = 12;

// The tensors in the order of the operation's spec (inputs, inouts, outputs), then the constants.
struct Call {
    Array arrays[MAX_ARRAYS];
    const Constant* constants;
    int64_t constant_count;
};

using Kernel = void (*)(const Call& call);

// The constant of that name; ProgramError where there is none.
double number(const Call& call, const char* name);
bool is(const Call& call, const char* name, const char* text);

// Memory of this thread, 64-byte aligned, kept for its next call. SHARED: what the calling thread makes for all items of
// a `parallel`; OWN: what one item needs.
enum Scratch { SHARED, OWN, SCRATCHES };
float* scratch(Scratch which, int64_t floats);

// Runs items 0 .. n-1, each once, in any order, on any thread; returns when all are done. What an item computes must not
// depend on the thread or the order: then results do not depend on the number of threads.
using Item = void (*)(void* context, int64_t item);
void run_items(int64_t n, Item item, void* context);

int threads();
void set_threads(int n);

}  // namespace nyx::cpu
