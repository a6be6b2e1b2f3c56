#ifndef DD_GUEST_CONFINE_SPECULATION_H_
#define DD_GUEST_CONFINE_SPECULATION_H_

#include "guest/confine/failure.h"

namespace dd::confine {

// Disables, for good, each speculation control of the description that the processor is affected by
// and that the kernel leaves to processes. See PR_SET_SPECULATION_CTRL in prctl(2).
Failure DisableSpeculation(const Confinement& confinement);

}  // namespace dd::confine

#endif  // DD_GUEST_CONFINE_SPECULATION_H_
