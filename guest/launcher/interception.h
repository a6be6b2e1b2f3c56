// The two seccomp filters interception needs, before any confinement: where guest calls go, and how
// an executor reaches the sentry outside its ring.
#pragma once

#include <cstdint>

namespace dd::launcher {

// Sends the designated call (confine::kNotifyCall) to a listener, for this process and all it
// forks, as the launcher's confinement does in untrusted mode. Returns the listener's descriptor,
// or -errno.
int InstallAttachListener();

// Turns every call from outside [stub_start, stub_end) into SIGSYS. 0 or -errno. For routing only:
// guest code can jump to the stub.
int InstallTrap(uint64_t stub_start, uint64_t stub_end);

}  // namespace dd::launcher
