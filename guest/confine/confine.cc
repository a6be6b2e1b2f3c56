#include "guest/confine/confine.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "guest/confine/capabilities.h"
#include "guest/confine/descriptors.h"
#include "guest/confine/landlock.h"
#include "guest/confine/limits.h"
#include "guest/confine/namespaces.h"
#include "guest/confine/root.h"
#include "guest/confine/seccomp.h"
#include "guest/confine/speculation.h"

namespace dd::confine {
namespace {

constexpr size_t kKeepMax = 8;

// Forks the first process of the pid namespace as a child of our own parent, the sentry, and ends
// this one. A raw call: the child does not need what libc does around fork, and libc has no
// CLONE_PARENT. The child goes on only once the sentry was told its pid: reports keep their order.
Failure BecomeFirstProcess(int control) {
  int told[2];
  if (pipe2(told, O_CLOEXEC) != 0) return Failed(Step::kFork);
  const long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid < 0) return Failed(Step::kFork);
  if (pid == 0) {
    char byte = 0;
    close(told[1]);
    const bool sent = read(told[0], &byte, 1) == 1;
    close(told[0]);
    return sent ? kDone : Failure{Step::kHandshake, EPIPE};
  }
  const Report report = {ReportKind::kStarted, Step::kNone, 0, static_cast<int32_t>(pid)};
  const bool sent = !SendReport(control, report).failed() && write(told[1], "t", 1) == 1;
  _exit(sent ? 0 : 1);
}

Failure KeepOnly(int control, std::span<const int> keep) {
  std::array<int, kKeepMax + 1> all{control};
  if (keep.size() > kKeepMax) return {Step::kDescriptors, E2BIG};
  std::copy(keep.begin(), keep.end(), all.begin() + 1);
  return CloseAllBut(std::span(all).first(keep.size() + 1));
}

Failure DropPrivileges() {
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return Failed(Step::kDumpable);
  if (const Failure failure = DropCapabilities(); failure.failed()) return failure;
  // After the change of credentials, which would clear it.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return Failed(Step::kParentDeath);
  return ForbidNewPrivileges();
}

Failure SendListener(const Confinement& confinement, int control) {
  int listener = -1;
  if (const Failure failure = InstallNotifyFilter(confinement, &listener); failure.failed()) {
    return failure;
  }
  const Report report = {ReportKind::kListening, Step::kNone, 0, 0};
  const Failure failure = SendReport(control, report, std::span(&listener, 1));
  close(listener);
  return failure;
}

}  // namespace

Failure PrepareNamespaces(const Confinement& confinement, int control) {
  if (const Failure failure = DropSupplementaryGroups(); failure.failed()) return failure;
  if (const Failure failure = CreateUserNamespace(confinement); failure.failed()) return failure;
  if (const Failure failure = BecomeNamespaceRoot(); failure.failed()) return failure;
  if (const Failure failure = ForbidUserNamespaces(); failure.failed()) return failure;
  const auto flags = static_cast<int>(confinement.outer_namespaces & ~uint32_t{CLONE_NEWUSER});
  if (unshare(flags) != 0) return Failed(Step::kMountNamespace);
  const std::array<int, 2> namespaces = {open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC),
                                         open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC)};
  if (namespaces[0] < 0 || namespaces[1] < 0) return Failed(Step::kMountNamespace);
  if (const Failure failure = EmptyRoot(); failure.failed()) return failure;
  return SendReport(control, {ReportKind::kPrepared, Step::kNone, 0, 0}, namespaces);
}

Failure EnterUserNamespace(const Confinement& confinement, int user_namespace, char* const argv[]) {
  if (const Failure failure = DropSupplementaryGroups(); failure.failed()) return failure;
  const int program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (program < 0) return Failed(Step::kRestart);
  const auto type = static_cast<int>(confinement.outer_namespaces & uint32_t{CLONE_NEWUSER});
  if (setns(user_namespace, type) != 0) return Failed(Step::kUserNamespace);
  if (const Failure failure = BecomeNamespaceRoot(); failure.failed()) return failure;
  char* const environment[] = {nullptr};
  execveat(program, "", argv, environment, AT_EMPTY_PATH);
  return Failed(Step::kRestart);
}

Failure ConfineLauncher(const Confinement& confinement, int control, int mount_namespace,
                        std::span<const int> keep) {
  if (setns(mount_namespace, CLONE_NEWNS) != 0) return Failed(Step::kMountNamespace);
  if (unshare(static_cast<int>(confinement.inner_namespaces)) != 0) {
    return Failed(Step::kNamespaces);
  }
  if (const Failure failure = BecomeFirstProcess(control); failure.failed()) return failure;
  if (const Failure failure = KeepOnly(control, keep); failure.failed()) return failure;
  if (const Failure failure = ApplyLimits(confinement); failure.failed()) return failure;
  if (const Failure failure = DropPrivileges(); failure.failed()) return failure;
  return SendListener(confinement, control);
}

Failure ConfineExecutor(const Confinement& confinement) {
  if (const Failure failure = CloseAllButWindow(); failure.failed()) return failure;
  if (const Failure failure = EnterLandlockDomain(confinement); failure.failed()) return failure;
  if (const Failure failure = DisableSpeculation(confinement); failure.failed()) return failure;
  return InstallExecutorFilter(confinement);
}

}  // namespace dd::confine
