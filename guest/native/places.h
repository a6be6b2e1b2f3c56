// The places of the runtime in which a host signal changes what happens next: see x86_64/stub.S.
#pragma once

#include "guest/native/abi.h"

extern "C" {
[[gnu::visibility("hidden")]] extern const char dd_wait_begin[];
[[gnu::visibility("hidden")]] extern const char dd_wait_end[];
[[gnu::visibility("hidden")]] extern const char dd_wait_aborted[];
[[gnu::visibility("hidden")]] extern const char dd_access_begin[];
[[gnu::visibility("hidden")]] extern const char dd_access_end[];
[[gnu::visibility("hidden")]] extern const char dd_access_failed[];
// The restorer of the runtime's own handlers.
[[gnu::visibility("hidden")]] void dd_sigreturn();
}

namespace dd::native {

inline uint64_t Address(const void* p) { return reinterpret_cast<uint64_t>(p); }

inline bool InRange(uint64_t rip, const char* begin, const char* end) {
  return rip >= Address(begin) && rip < Address(end);
}

// A fault of an access to guest memory: the access is to fail with -EFAULT. False for any other.
inline bool FailAccess(Mcontext* m) {
  if (!InRange(m->rip, dd_access_begin, dd_access_end)) return false;
  m->rip = Address(dd_access_failed);
  return true;
}

// A kick in a wait that kicks end. False when it came elsewhere.
inline bool AbortWait(Mcontext* m) {
  if (!InRange(m->rip, dd_wait_begin, dd_wait_end)) return false;
  m->rip = Address(dd_wait_aborted);
  return true;
}

}  // namespace dd::native
