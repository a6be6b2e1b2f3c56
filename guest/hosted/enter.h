// The first steps of a guest on a thread of the sentry's process: that thread has no libc and no
// TLS, so this part is built as the runtime is.
#pragma once

#include "guest/native/start.h"

namespace dd::hosted {

constexpr uint32_t kMaxFiles = 16;

// Everything of one guest that must outlive its start. Never freed: the guest's children inherit
// it.
struct Guest {
  native::AddressSpace space;
  native::Start start;
  int files[kMaxFiles];
  int life_fd;
};

// Thread::entry of the first thread; entry_argument is its Guest. Gives the thread a descriptor
// table of its own with only what it needs, turns its calls into traps, and runs.
void Enter(native::Thread* thread);

}  // namespace dd::hosted
