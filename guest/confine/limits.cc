#include "guest/confine/limits.h"

#include <sys/resource.h>

#include <algorithm>

namespace dd::confine {

Failure ApplyLimits(const Confinement& confinement) {
  for (size_t i = 0; i < confinement.limit_count; ++i) {
    const auto resource = static_cast<__rlimit_resource_t>(confinement.limits[i].resource);
    rlimit limit{};
    if (getrlimit(resource, &limit) != 0) return Failed(Step::kLimits);
    const rlim_t value = std::min<rlim_t>(confinement.limits[i].value, limit.rlim_max);
    limit = {.rlim_cur = value, .rlim_max = value};
    if (setrlimit(resource, &limit) != 0) return Failed(Step::kLimits);
  }
  return kDone;
}

}  // namespace dd::confine
