#include "guest/confine/confinement.h"

#include <unistd.h>

namespace dd::confine {
namespace {

bool IsValid(const Confinement& c) {
  return c.magic == kConfinementMagic && c.version == kConfinementVersion &&
         c.size == sizeof(Confinement) && c.host_uid != 0 && c.host_gid != 0 && c.stub_start != 0 &&
         c.stub_start < c.stub_end && c.window_first == kWindowFirst &&
         c.window_last == kWindowLast && c.notify_call == kNotifyCall &&
         c.limit_count <= kLimitsMax && c.notify_filter_length > 0 &&
         c.notify_filter_length <= kNotifyFilterMax && c.executor_filter_length > 0 &&
         c.executor_filter_length <= kExecutorFilterMax;
}

}  // namespace

Failure ReadConfinement(int fd, Confinement* confinement) {
  const ssize_t length = pread(fd, confinement, sizeof(*confinement), 0);
  if (length < 0) return Failed(Step::kConfinement);
  if (length != static_cast<ssize_t>(sizeof(*confinement)) || !IsValid(*confinement)) {
    return {Step::kConfinement, EINVAL};
  }
  return kDone;
}

}  // namespace dd::confine
