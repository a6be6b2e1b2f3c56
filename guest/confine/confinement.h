// The description that the sentry hands to the launcher; see profiles/linux/layout.ts.
#ifndef DD_GUEST_CONFINE_CONFINEMENT_H_
#define DD_GUEST_CONFINE_CONFINEMENT_H_

#include "guest/confine/failure.h"

namespace dd::confine {

// Reads the description from the start of a seekable descriptor (a memfd), which stays open and
// keeps its offset, and checks it. Fails with EINVAL when it is not one that this program
// understands.
Failure ReadConfinement(int fd, Confinement* confinement);

// Tells the filter where the program's only system call instructions lie: [start, end), within one
// multiple of 4 GiB (else EINVAL); the last two bytes hold no call. Calls made elsewhere will trap.
Failure PlaceStub(Confinement* confinement, uint64_t start, uint64_t end);

}  // namespace dd::confine

#endif  // DD_GUEST_CONFINE_CONFINEMENT_H_
