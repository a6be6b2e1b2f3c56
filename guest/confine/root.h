// The file tree of a container on the host: nothing.
#ifndef DD_GUEST_CONFINE_ROOT_H_
#define DD_GUEST_CONFINE_ROOT_H_

#include "guest/confine/failure.h"

namespace dd::confine {

// Replaces every mount of the caller's mount namespace by one empty tmpfs, read-only, nosuid, nodev
// and noexec. Not possible from inside a Landlock domain, which forbids every change of mounts
// (EPERM).
Failure EmptyRoot();

}  // namespace dd::confine

#endif  // DD_GUEST_CONFINE_ROOT_H_
