#include "guest/confine/speculation.h"

#include <linux/prctl.h>
#include <sys/prctl.h>

namespace dd::confine {
namespace {

constexpr unsigned long kControlsMax = 32;

}  // namespace

Failure DisableSpeculation(const Confinement& confinement) {
  for (unsigned long control = 0; control < kControlsMax; ++control) {
    if ((confinement.speculation >> control & 1U) == 0) continue;
    const int state = prctl(PR_GET_SPECULATION_CTRL, control, 0, 0, 0);
    // Not affected, unknown to this kernel or decided for the whole system by its administrator:
    // there is nothing that a process could switch.
    if (state < 0 || (state & static_cast<int>(PR_SPEC_PRCTL)) == 0) continue;
    if ((state & static_cast<int>(PR_SPEC_FORCE_DISABLE)) != 0) continue;
    if (prctl(PR_SET_SPECULATION_CTRL, control, PR_SPEC_FORCE_DISABLE, 0, 0) != 0) {
      return Failed(Step::kSpeculation);
    }
  }
  return kDone;
}

}  // namespace dd::confine
