#include "guest/confine/descriptors.h"

#include <unistd.h>

#include <climits>

namespace dd::confine {
namespace {

// Both ends included; an empty range is fine.
bool CloseRange(unsigned first, unsigned last) {
  return first > last || close_range(first, last, 0) == 0;
}

}  // namespace

Failure CloseAllBut(std::span<const int> keep) {
  unsigned first = 0;
  for (const int fd : keep) {
    const auto kept = static_cast<unsigned>(fd);
    if (kept < first) return {Step::kDescriptors, EINVAL};
    if (kept > first && !CloseRange(first, kept - 1)) return Failed(Step::kDescriptors);
    first = kept + 1;
  }
  return CloseRange(first, UINT_MAX) ? kDone : Failed(Step::kDescriptors);
}

Failure CloseAllButWindow() {
  if (!CloseRange(0, kWindowFirst - 1) || !CloseRange(kWindowLast + 1, UINT_MAX)) {
    return Failed(Step::kDescriptors);
  }
  return kDone;
}

}  // namespace dd::confine
