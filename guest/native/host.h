// The runtime's way to the host kernel. Everything goes through the stub page; see x86_64/stub.S.
#pragma once

#include "guest/native/abi.h"

extern "C" {
[[gnu::visibility("hidden")]] long dd_host_call(long nr, long a0, long a1, long a2, long a3,
                                                long a4, long a5);
[[gnu::visibility("hidden")]] long dd_copy(void* to, const void* from, size_t length);
[[gnu::visibility("hidden")]] long dd_copy_string(char* to, const char* from, size_t limit);
[[gnu::visibility("hidden")]] long dd_store32(uint32_t* to, uint32_t value);
[[gnu::visibility("hidden")]] long dd_probe(uint8_t* at);
[[gnu::visibility("hidden")]] long dd_load32(const uint32_t* from);
}

namespace dd::native {

template <typename T>
long Register(T value) {
  if constexpr (sizeof(T) == sizeof(long)) {
    return __builtin_bit_cast(long, value);
  } else {
    return static_cast<long>(value);
  }
}

// One host call; the result, or a negative errno.
template <typename... Args>
long Host(long nr, Args... args) {
  static_assert(sizeof...(args) <= 6);
  long registers[6] = {Register(args)...};
  return dd_host_call(nr, registers[0], registers[1], registers[2], registers[3], registers[4],
                      registers[5]);
}

// Guest memory may be bad: these return -EFAULT instead of faulting.
inline long CopyIn(void* to, uint64_t from, size_t length) {
  return dd_copy(to, reinterpret_cast<const void*>(from), length);
}
inline long CopyOut(uint64_t to, const void* from, size_t length) {
  return dd_copy(reinterpret_cast<void*>(to), from, length);
}

}  // namespace dd::native
