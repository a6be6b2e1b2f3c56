#ifndef DD_GUEST_CONFINE_SECCOMP_H_
#define DD_GUEST_CONFINE_SECCOMP_H_

#include "guest/confine/failure.h"

namespace dd::confine {

// Installs the filter that sends the designated call to a listener; it has no other effect. Needs
// no_new_privs. The caller owns `*listener`.
Failure InstallNotifyFilter(const Confinement& confinement, int* listener);

// Installs the allow-list on every thread of the process. From its return on, a system call that is
// not made in the stub page traps.
Failure InstallExecutorFilter(const Confinement& confinement);

}  // namespace dd::confine

#endif  // DD_GUEST_CONFINE_SECCOMP_H_
