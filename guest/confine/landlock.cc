#include "guest/confine/landlock.h"

#include <sys/syscall.h>
#include <unistd.h>

namespace dd::confine {
namespace {

constexpr unsigned kCreateRulesetVersion = 1;

// struct landlock_ruleset_attr as of ABI 6; Debian 12's header ends after the first member.
struct RulesetAttributes {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;
  uint64_t scoped;
};

}  // namespace

int LandlockAbi() {
  return static_cast<int>(
      syscall(SYS_landlock_create_ruleset, nullptr, size_t{0}, kCreateRulesetVersion));
}

Failure EnterLandlockDomain(const Confinement& confinement) {
  const int abi = LandlockAbi();
  if (abi < 0) return Failed(Step::kLandlock);
  if (static_cast<uint32_t>(abi) < confinement.landlock_abi) {
    return {Step::kLandlock, EOPNOTSUPP};
  }
  const RulesetAttributes attributes = {.handled_access_fs = confinement.landlock_filesystem,
                                        .handled_access_net = confinement.landlock_network,
                                        .scoped = confinement.landlock_scoped};
  const auto ruleset =
      static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0U));
  if (ruleset < 0) return Failed(Step::kLandlock);
  const long result = syscall(SYS_landlock_restrict_self, ruleset, 0U);
  const Failure failure = result == 0 ? kDone : Failed(Step::kLandlock);
  close(ruleset);
  return failure;
}

}  // namespace dd::confine
