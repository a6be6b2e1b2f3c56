// The outcome of a confinement step: nothing, or the exact step that failed and its errno.
#ifndef DD_GUEST_CONFINE_FAILURE_H_
#define DD_GUEST_CONFINE_FAILURE_H_

#include <cerrno>

#include "guest/confine/confinement_layout.h"

namespace dd::confine {

struct [[nodiscard]] Failure {
  Step step = Step::kNone;
  int error = 0;

  [[nodiscard]] bool failed() const { return step != Step::kNone; }
};

inline constexpr Failure kDone{};

// `step` failed with the errno of the call before.
inline Failure Failed(Step step) { return {step, errno}; }

}  // namespace dd::confine

#endif  // DD_GUEST_CONFINE_FAILURE_H_
