#include "guest/translated/executable.h"

#include <atomic>

namespace dd::translated {
namespace {

void Erase(Executable* executable, uint32_t at) {
  for (uint32_t i = at; i + 1 < executable->header.count; i++) {
    executable->ranges[i] = executable->ranges[i + 1];
  }
  executable->header.count--;
}

void Insert(Executable* executable, uint32_t at, ring::CodeRange range) {
  if (executable->header.count == Executable::kLimit) {
    executable->overflowed = true;
    return;
  }
  for (uint32_t i = executable->header.count; i > at; i--) {
    executable->ranges[i] = executable->ranges[i - 1];
  }
  executable->ranges[at] = range;
  executable->header.count++;
}

// The first range that ends after `addr`.
uint32_t FirstAfter(const Executable* executable, uint64_t addr) {
  uint32_t low = 0;
  uint32_t high = executable->header.count;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (executable->ranges[middle].end > addr) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

void Remove(Executable* executable, uint64_t begin, uint64_t end) {
  for (uint32_t at = FirstAfter(executable, begin);
       at < executable->header.count && executable->ranges[at].begin < end;) {
    ring::CodeRange& range = executable->ranges[at];
    const ring::CodeRange tail{end, range.end};
    if (range.begin < begin) {
      range.end = begin;
      if (tail.begin < tail.end) Insert(executable, at + 1, tail);
      at++;
    } else if (tail.begin < tail.end) {
      range.begin = end;
      return;
    } else {
      Erase(executable, at);
    }
  }
}

void Add(Executable* executable, uint64_t begin, uint64_t end) {
  Remove(executable, begin, end);
  const uint32_t at = FirstAfter(executable, begin);
  const bool joins_next = at < executable->header.count && executable->ranges[at].begin == end;
  const bool joins_last = at > 0 && executable->ranges[at - 1].end == begin;
  if (joins_last) {
    executable->ranges[at - 1].end = joins_next ? executable->ranges[at].end : end;
    if (joins_next) Erase(executable, at);
  } else if (joins_next) {
    executable->ranges[at].begin = begin;
  } else {
    Insert(executable, at, {begin, end});
  }
}

}  // namespace

void SetExecutable(Executable* executable, uint64_t begin, uint64_t end, bool allowed) {
  if (begin >= end) return;
  std::atomic_ref(executable->header.version).fetch_add(1);
  if (allowed) {
    Add(executable, begin, end);
  } else {
    Remove(executable, begin, end);
  }
  std::atomic_ref(executable->header.version).fetch_add(1);
}

size_t ExecutableAt(const Executable* executable, uint64_t pc, size_t limit) {
  // The const is the caller's; the words themselves are written by others.
  auto* words = const_cast<Executable*>(executable);
  for (;;) {
    const uint32_t before = std::atomic_ref(words->header.version).load();
    if ((before & 1) != 0) continue;
    size_t bytes = 0;
    if (executable->overflowed) {
      bytes = limit;
    } else {
      const uint32_t at = FirstAfter(executable, pc);
      if (at < executable->header.count && executable->ranges[at].begin <= pc) {
        const uint64_t room = executable->ranges[at].end - pc;
        bytes = room < limit ? room : limit;
      }
    }
    std::atomic_thread_fence(std::memory_order_acquire);
    if (std::atomic_ref(words->header.version).load() == before) return bytes;
  }
}

}  // namespace dd::translated
