#include "guest/confine/capabilities.h"

#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace dd::confine {
namespace {

// Capability sets are two 32-bit words: no kernel can know more.
constexpr unsigned long kCapabilitiesMax = 64;

constexpr unsigned long kSecureBits =
    SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |
    SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

}  // namespace

Failure DropCapabilities() {
  for (unsigned long capability = 0; capability < kCapabilitiesMax; ++capability) {
    if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) < 0)
      break;  // The kernel's last one was before.
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) return Failed(Step::kCapabilities);
  }
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECUREBITS, kSecureBits, 0, 0, 0) != 0) {
    return Failed(Step::kCapabilities);
  }
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capset, &header, none) != 0) return Failed(Step::kCapabilities);
  return kDone;
}

Failure ForbidNewPrivileges() {
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? kDone : Failed(Step::kNoNewPrivileges);
}

}  // namespace dd::confine
