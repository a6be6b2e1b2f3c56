// Waiting in the host's kernel, on the guest's account.
#pragma once

#include "guest/native/thread.h"

namespace dd::native {

struct HostCall {
  long nr;
  long args[6];
};

// Makes a host call that may wait. Its result; -EINTR when the sentry wants the thread's attention,
// before or during the call. A stray kick has the call made again.
long WaitFor(Thread* thread, const HostCall& call);

}  // namespace dd::native
