#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/confine/namespaces.h"
#include "guest/confine/probe/layer.h"
#include "guest/confine/root.h"

namespace dd::confine::probe {
namespace {

// An id that no user has: what a container of root's becomes.
constexpr uint32_t kForeignId = 200000;

Outcome From(const Failure& failure, const char* what) {
  return failure.failed() ? FailsWith(failure.error, what) : Works();
}

// The own user as root of a new namespace.
bool EnterOwnNamespace(Outcome* outcome) {
  Confinement confinement{};
  confinement.host_uid = geteuid();
  confinement.host_gid = getegid();
  Failure failure = CreateUserNamespace(confinement);
  if (!failure.failed()) failure = BecomeNamespaceRoot();
  *outcome = From(failure, failure.step == Step::kUserMap ? "mapping one's own user" : "unshare");
  return !failure.failed();
}

Outcome TryUser() {
  Outcome outcome;
  EnterOwnNamespace(&outcome);
  return outcome;
}

Outcome TryForeignUser() {
  if (geteuid() != 0) return Works("not needed by an ordinary user");
  Confinement confinement{};
  confinement.host_uid = kForeignId;
  confinement.host_gid = kForeignId;
  Failure failure = DropSupplementaryGroups();
  if (!failure.failed()) failure = CreateUserNamespace(confinement);
  if (!failure.failed()) failure = BecomeNamespaceRoot();
  return From(failure, "mapping another user");
}

Outcome TryLimit() {
  Outcome outcome;
  if (!EnterOwnNamespace(&outcome)) return outcome;
  const Failure failure = ForbidUserNamespaces();
  if (failure.failed()) return From(failure, "writing user.max_user_namespaces");
  return unshare(CLONE_NEWUSER) == 0 ? FailsWith(EINVAL, "the limit has no effect") : Works();
}

Outcome TryRoot() {
  Outcome outcome;
  if (!EnterOwnNamespace(&outcome)) return outcome;
  if (unshare(CLONE_NEWNS) != 0) return Fails("unshare");
  const Failure failure = EmptyRoot();
  if (failure.failed()) return From(failure, "mounting an empty root");
  return access("/proc", F_OK) == 0 ? FailsWith(EINVAL, "the old root is still there") : Works();
}

Outcome TryPid() {
  Outcome outcome;
  if (!EnterOwnNamespace(&outcome)) return outcome;
  if (unshare(CLONE_NEWPID) != 0) return Fails("unshare");
  const pid_t child = fork();
  if (child < 0) return Fails("fork");
  if (child == 0) _exit(getpid() == 1 ? 0 : 1);
  int status = -1;
  waitpid(child, &status, 0);
  return status == 0 ? Works() : FailsWith(EINVAL, "the child is not process 1");
}

template <int kFlag>
Outcome TryOther() {
  Outcome outcome;
  if (!EnterOwnNamespace(&outcome)) return outcome;
  return unshare(kFlag) == 0 ? Works() : Fails("unshare");
}

constexpr Layer kLayers[] = {
    {"user-namespace", TryUser},
    {"container-user", TryForeignUser},
    {"user-namespace-limit", TryLimit},
    {"empty-root", TryRoot},
    {"pid-namespace", TryPid},
    {"network-namespace", TryOther<CLONE_NEWNET>},
    {"ipc-namespace", TryOther<CLONE_NEWIPC>},
    {"uts-namespace", TryOther<CLONE_NEWUTS>},
    {"cgroup-namespace", TryOther<CLONE_NEWCGROUP>},
};

}  // namespace

std::span<const Layer> NamespaceLayers() { return kLayers; }

}  // namespace dd::confine::probe
