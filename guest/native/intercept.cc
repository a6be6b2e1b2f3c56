#include "guest/native/intercept.h"

#include "guest/confine/confinement_layout.h"
#include "guest/native/host.h"

namespace dd::native {
namespace {

// <linux/bpf_common.h>, <linux/seccomp.h>, <linux/audit.h>: kernel headers need libc's here.
enum Bpf : uint16_t {
  kLoadWord = 0x20,     // BPF_LD | BPF_W | BPF_ABS
  kJumpEqual = 0x15,    // BPF_JMP | BPF_JEQ | BPF_K
  kJumpNotLess = 0x35,  // BPF_JMP | BPF_JGE | BPF_K
  kReturn = 0x06,       // BPF_RET | BPF_K
};
enum SeccompData : uint32_t { kDataNr = 0, kDataArch = 4, kDataIp = 8 };
constexpr uint32_t kRetKillProcess = 0x80000000;
constexpr uint32_t kRetTrap = 0x00030000;
constexpr uint32_t kRetUserNotif = 0x7fc00000;
constexpr uint32_t kRetAllow = 0x7fff0000;
constexpr long kSetModeFilter = 1;
constexpr long kFlagNewListener = 1 << 3;
constexpr long kFlagWaitKillableRecv = 1 << 5;
constexpr uint32_t kAuditArch = 0xc000003e;  // AUDIT_ARCH_X86_64
constexpr long kPrSetNoNewPrivs = 38;

using Filter = confine::ConfinementInstruction;

struct Program {
  uint16_t length;
  const Filter* filter;
};

long Install(const Filter* filter, uint16_t length, long flags) {
  const long error = Host(kPrctl, kPrSetNoNewPrivs, 1, 0, 0, 0);
  if (error != 0) return error;
  const Program program{length, filter};
  return Host(kSeccomp, kSetModeFilter, flags, &program);
}

}  // namespace

long InstallAttachListener() {
  const Filter filter[] = {
      {kLoadWord, 0, 0, kDataNr},
      {kJumpEqual, 0, 1, static_cast<uint32_t>(confine::kNotifyCall)},
      {kReturn, 0, 0, kRetUserNotif},
      {kReturn, 0, 0, kRetAllow},
  };
  return Install(filter, 4, kFlagNewListener | kFlagWaitKillableRecv);
}

long InstallTrap(uint64_t stub_start, uint64_t stub_end) {
  // The stub does not cross a 4 GiB boundary: its high word is one value.
  const auto high = static_cast<uint32_t>(stub_start >> 32);
  if (high != static_cast<uint32_t>(stub_end >> 32)) return -kEinval;
  const Filter filter[] = {
      {kLoadWord, 0, 0, kDataArch},
      {kJumpEqual, 1, 0, kAuditArch},
      {kReturn, 0, 0, kRetKillProcess},
      {kLoadWord, 0, 0, kDataIp + 4},
      {kJumpEqual, 0, 3, high},
      {kLoadWord, 0, 0, kDataIp},
      {kJumpNotLess, 0, 1, static_cast<uint32_t>(stub_start)},
      {kJumpNotLess, 0, 1, static_cast<uint32_t>(stub_end)},
      {kReturn, 0, 0, kRetTrap},
      {kReturn, 0, 0, kRetAllow},
  };
  return Install(filter, 10, 0);
}

}  // namespace dd::native
