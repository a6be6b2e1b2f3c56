// Staging: what a forwarded call points at travels with it through shared memory, so that the
// sentry need not ask the host for it. What does not fit, or faults, is left to the sentry, which
// then answers as Linux does.
#pragma once

#include "guest/native/thread.h"

namespace dd::native {

// Where the results of a call were promised room.
struct Staged {
  uint32_t mask = 0;
  uint32_t length = 0;  // of what goes in
};

// Copies in what call `nr` points at and assigns room for its results; writes the slot's offsets.
Staged StageIn(Thread* thread, long nr, const uint64_t args[6]);

// Copies out what the sentry stored. Returns the call's final result: -EFAULT when the guest's
// memory is bad.
long StageOut(Thread* thread, long nr, const uint64_t args[6], const Staged& staged,
              const Reply& reply);

}  // namespace dd::native
