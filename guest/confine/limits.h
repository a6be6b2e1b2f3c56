#ifndef DD_GUEST_CONFINE_LIMITS_H_
#define DD_GUEST_CONFINE_LIMITS_H_

#include "guest/confine/failure.h"

namespace dd::confine {

// Sets the resource limits of the description, soft and hard alike; a hard limit that is lower
// already stays. See setrlimit(2).
Failure ApplyLimits(const Confinement& confinement);

}  // namespace dd::confine

#endif  // DD_GUEST_CONFINE_LIMITS_H_
