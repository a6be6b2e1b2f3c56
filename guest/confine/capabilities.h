#ifndef DD_GUEST_CONFINE_CAPABILITIES_H_
#define DD_GUEST_CONFINE_CAPABILITIES_H_

#include "guest/confine/failure.h"

namespace dd::confine {

// Drops every capability from the bounding, ambient, inheritable, permitted and effective sets, and
// makes user 0 mean nothing to a later exec. See capabilities(7).
Failure DropCapabilities();

// Sets no_new_privs. See prctl(2).
Failure ForbidNewPrivileges();

}  // namespace dd::confine

#endif  // DD_GUEST_CONFINE_CAPABILITIES_H_
