#include "guest/confine/seccomp.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace dd::confine {
namespace {

static_assert(sizeof(ConfinementInstruction) == sizeof(sock_filter));
static_assert(offsetof(ConfinementInstruction, jt) == offsetof(sock_filter, jt));
static_assert(offsetof(ConfinementInstruction, jf) == offsetof(sock_filter, jf));
static_assert(offsetof(ConfinementInstruction, k) == offsetof(sock_filter, k));

// Both filters are short enough for the stack: nothing here allocates.
template <size_t kMax>
long Install(const ConfinementInstruction (&instructions)[kMax], uint32_t length,
             unsigned long flags) {
  sock_filter filter[kMax];
  for (uint32_t i = 0; i < length; ++i) {
    const ConfinementInstruction& from = instructions[i];
    filter[i] = {.code = from.code, .jt = from.jt, .jf = from.jf, .k = from.k};
  }
  const sock_fprog program = {.len = static_cast<unsigned short>(length), .filter = filter};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

}  // namespace

Failure InstallNotifyFilter(const Confinement& confinement, int* listener) {
  // Once the sentry has seen a notification, a guest's signal no longer interrupts the call, so
  // that a donation cannot be lost half-way; the call can still be killed.
  constexpr unsigned long kFlags =
      SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
  const long fd = Install(confinement.notify_filter, confinement.notify_filter_length, kFlags);
  if (fd < 0) return Failed(Step::kNotifyFilter);
  *listener = static_cast<int>(fd);
  return kDone;
}

Failure InstallExecutorFilter(const Confinement& confinement) {
  const long result = Install(confinement.executor_filter, confinement.executor_filter_length,
                              SECCOMP_FILTER_FLAG_TSYNC);
  if (result < 0) return Failed(Step::kSeccomp);
  // A thread that could not be synchronised is named by its id.
  if (result > 0) return {Step::kSeccomp, ESRCH};
  return kDone;
}

}  // namespace dd::confine
