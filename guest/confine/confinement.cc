#include "guest/confine/confinement.h"

#include <unistd.h>

namespace dd::confine {
namespace {

bool IsValid(const Confinement& c) {
  return c.magic == kConfinementMagic && c.version == kConfinementVersion &&
         c.size == sizeof(Confinement) && c.host_uid != 0 && c.host_gid != 0 &&
         c.window_first == kWindowFirst && c.window_last == kWindowLast &&
         c.notify_call == kNotifyCall && c.limit_count <= kLimitsMax &&
         c.notify_filter_length > 0 && c.notify_filter_length <= kNotifyFilterMax &&
         c.executor_filter_length > 0 && c.executor_filter_length <= kExecutorFilterMax &&
         c.stub_high_at < c.executor_filter_length && c.stub_start_at < c.executor_filter_length &&
         c.stub_end_at < c.executor_filter_length;
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

Failure PlaceStub(Confinement* confinement, uint64_t start, uint64_t end) {
  if (start == 0 || start >= end || start >> 32 != end >> 32) return {Step::kConfinement, EINVAL};
  ConfinementInstruction* const filter = confinement->executor_filter;
  filter[confinement->stub_high_at].k = static_cast<uint32_t>(start >> 32);
  filter[confinement->stub_start_at].k = static_cast<uint32_t>(start);
  filter[confinement->stub_end_at].k = static_cast<uint32_t>(end);
  return kDone;
}

}  // namespace dd::confine
