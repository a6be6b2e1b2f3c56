#include "guest/launcher/interception.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/confine/confinement_layout.h"

namespace dd::launcher {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArch = AUDIT_ARCH_X86_64;
#else
constexpr uint32_t kArch = AUDIT_ARCH_AARCH64;
#endif

constexpr sock_filter Load(uint32_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset); }
constexpr sock_filter Return(uint32_t action) { return BPF_STMT(BPF_RET | BPF_K, action); }
constexpr sock_filter JumpIf(uint16_t test, uint32_t value, uint8_t yes, uint8_t no) {
  return BPF_JUMP(static_cast<uint16_t>(BPF_JMP | BPF_K | test), value, yes, no);
}

int Install(sock_filter* filter, size_t count, unsigned int flags) {
  const sock_fprog program{static_cast<unsigned short>(count), filter};
  const long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
  return result < 0 ? -errno : static_cast<int>(result);
}

}  // namespace

int InstallAttachListener() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -errno;
  sock_filter filter[] = {
      Load(offsetof(seccomp_data, nr)),
      JumpIf(BPF_JEQ, confine::kNotifyCall, 0, 1),
      Return(SECCOMP_RET_USER_NOTIF),
      Return(SECCOMP_RET_ALLOW),
  };
  return Install(filter, sizeof filter / sizeof *filter, SECCOMP_FILTER_FLAG_NEW_LISTENER);
}

int InstallTrap(uint64_t stub_start, uint64_t stub_end) {
  constexpr uint32_t kIp = offsetof(seccomp_data, instruction_pointer);
  // The stub does not cross a 4 GiB boundary: its high word is one value. The reported address is
  // that of the instruction after the call.
  const auto high = static_cast<uint32_t>(stub_start >> 32);
  if (high != static_cast<uint32_t>(stub_end >> 32)) return -EINVAL;
  sock_filter filter[] = {
      Load(offsetof(seccomp_data, arch)),
      JumpIf(BPF_JEQ, kArch, 1, 0),
      Return(SECCOMP_RET_KILL_PROCESS),
      Load(kIp + 4),
      JumpIf(BPF_JEQ, high, 0, 3),
      Load(kIp),
      JumpIf(BPF_JGE, static_cast<uint32_t>(stub_start), 0, 1),
      JumpIf(BPF_JGE, static_cast<uint32_t>(stub_end), 0, 1),
      Return(SECCOMP_RET_TRAP),
      Return(SECCOMP_RET_ALLOW),
  };
  return Install(filter, sizeof filter / sizeof *filter, 0);
}

}  // namespace dd::launcher
