// What the runtime must know of the machine it runs on, found out with libc before it starts.
#pragma once

#include "guest/native/thread.h"
#include "ring/layout.h"

namespace dd::host {

// Whether guest code can run in place here; if not, what is missing.
const char* MissingFeature();

// Fills in the facts of `environment` that are the same for every executor of this process: the
// vDSO's clock and the size of a saved state. The rest is zero.
void FillFacts(native::Environment* environment);

// Fills in what a guest's auxiliary vector says of the processor: features, frame size, vDSO. The
// rest stays as it is.
void FillGuestFacts(ring::LauncherHello* hello);

}  // namespace dd::host
