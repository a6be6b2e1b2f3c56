// Namespaces of a container, and who is who in them.
#ifndef DD_GUEST_CONFINE_NAMESPACES_H_
#define DD_GUEST_CONFINE_NAMESPACES_H_

#include "guest/confine/failure.h"

namespace dd::confine {

// Puts the caller into a new user namespace whose user and group 0 are the host's `host_uid` and
// `host_gid`. Other ids than the caller's own need CAP_SETUID and CAP_SETGID outside.
Failure CreateUserNamespace(const Confinement& confinement);

// Makes the creation of further user namespaces inside the caller's fail for good.
Failure ForbidUserNamespaces();

// Gives up the host's supplementary groups; only the privileged can, and only outside of a
// container's user namespace.
Failure DropSupplementaryGroups();

// Becomes user and group 0 of the caller's user namespace.
Failure BecomeNamespaceRoot();

}  // namespace dd::confine

#endif  // DD_GUEST_CONFINE_NAMESPACES_H_
