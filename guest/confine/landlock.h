#ifndef DD_GUEST_CONFINE_LANDLOCK_H_
#define DD_GUEST_CONFINE_LANDLOCK_H_

#include "guest/confine/failure.h"

namespace dd::confine {

// The Landlock ABI of the running kernel, or -1 with errno when there is none (ENOSYS: not built
// in; EOPNOTSUPP: not enabled).
int LandlockAbi();

// Enters a Landlock domain of the caller's own that denies all that the description handles,
// without exception. Needs no_new_privs. Fails with EOPNOTSUPP when the kernel's ABI is too old.
Failure EnterLandlockDomain(const Confinement& confinement);

}  // namespace dd::confine

#endif  // DD_GUEST_CONFINE_LANDLOCK_H_
