// The two seccomp filters interception needs where there is no confinement, in trusted mode: where
// guest calls go, and how an executor reaches the sentry outside its ring. Freestanding, because
// the one on a thread of the sentry's own process is installed by that thread.
#pragma once

#include "guest/native/abi.h"

namespace dd::native {

// Sends the designated call (confine::kNotifyCall) to a listener, for this thread and all it forks,
// as the launcher's confinement does in untrusted mode. Returns the listener's descriptor, or
// -errno.
long InstallAttachListener();

// Turns every call of this thread from outside [stub_start, stub_end) into SIGSYS; its threads and
// forks inherit that. 0 or -errno. For routing only: guest code can jump to the stub.
long InstallTrap(uint64_t stub_start, uint64_t stub_end);

}  // namespace dd::native
