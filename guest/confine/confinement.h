// The description that the sentry hands to the launcher; see profiles/linux/layout.ts.
#ifndef DD_GUEST_CONFINE_CONFINEMENT_H_
#define DD_GUEST_CONFINE_CONFINEMENT_H_

#include "guest/confine/failure.h"

namespace dd::confine {

// Reads the description from the start of a seekable descriptor (a memfd), which stays open and
// keeps its offset, and checks it. Fails with EINVAL when it is not one that this program
// understands.
Failure ReadConfinement(int fd, Confinement* confinement);

}  // namespace dd::confine

#endif  // DD_GUEST_CONFINE_CONFINEMENT_H_
