#include "guest/confine/namespaces.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace dd::confine {
namespace {

constexpr size_t kPathMax = 64;

// Writes all of `text` to a file with one call, as the files of user namespaces demand.
bool WriteFile(const char* path, const char* text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const size_t length = strlen(text);
  const ssize_t written = write(fd, text, length);
  const int error = written < 0 ? errno : EIO;
  close(fd);
  if (written == static_cast<ssize_t>(length)) return true;
  errno = error;
  return false;
}

bool WriteMaps(pid_t pid, const Confinement& confinement) {
  char path[kPathMax];
  char map[kPathMax];
  snprintf(path, sizeof(path), "/proc/%d/setgroups", static_cast<int>(pid));
  if (!WriteFile(path, "deny")) return false;
  snprintf(path, sizeof(path), "/proc/%d/gid_map", static_cast<int>(pid));
  snprintf(map, sizeof(map), "0 %u 1", confinement.host_gid);
  if (!WriteFile(path, map)) return false;
  snprintf(path, sizeof(path), "/proc/%d/uid_map", static_cast<int>(pid));
  snprintf(map, sizeof(map), "0 %u 1", confinement.host_uid);
  return WriteFile(path, map);
}

// Foreign ids can be mapped only by a process that stayed outside: a child forked beforehand, which
// waits for a byte, writes the maps of its parent and answers with an errno.
[[noreturn]] void RunMapper(int channel, pid_t target, const Confinement& confinement) {
  char go = 0;
  int error = EPIPE;
  if (read(channel, &go, 1) == 1) error = WriteMaps(target, confinement) ? 0 : errno;
  const ssize_t sent = write(channel, &error, sizeof(error));
  _exit(sent == static_cast<ssize_t>(sizeof(error)) ? 0 : 1);
}

Failure MapThroughChild(const Confinement& confinement) {
  int channel[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) != 0) {
    return Failed(Step::kUserMap);
  }
  const pid_t self = getpid();
  const pid_t mapper = fork();
  if (mapper < 0) return Failed(Step::kUserMap);
  if (mapper == 0) {
    close(channel[0]);
    RunMapper(channel[1], self, confinement);
  }
  close(channel[1]);
  Failure failure = kDone;
  int error = EPIPE;
  if (unshare(CLONE_NEWUSER) != 0) {
    failure = Failed(Step::kUserNamespace);
  } else if (write(channel[0], "g", 1) != 1 ||
             read(channel[0], &error, sizeof(error)) != static_cast<ssize_t>(sizeof(error)) ||
             error != 0) {
    failure = {Step::kUserMap, error};
  }
  close(channel[0]);
  waitpid(mapper, nullptr, 0);
  return failure;
}

}  // namespace

Failure CreateUserNamespace(const Confinement& confinement) {
  const bool own = confinement.host_uid == geteuid() && confinement.host_gid == getegid();
  if (!own) return MapThroughChild(confinement);
  if (unshare(CLONE_NEWUSER) != 0) return Failed(Step::kUserNamespace);
  return WriteMaps(getpid(), confinement) ? kDone : Failed(Step::kUserMap);
}

Failure ForbidUserNamespaces() {
  return WriteFile("/proc/sys/user/max_user_namespaces", "0") ? kDone
                                                              : Failed(Step::kUserNamespaceLimit);
}

Failure DropSupplementaryGroups() {
  if (geteuid() != 0) return kDone;
  return setgroups(0, nullptr) == 0 ? kDone : Failed(Step::kIdentity);
}

Failure BecomeNamespaceRoot() {
  if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0) return Failed(Step::kIdentity);
  return kDone;
}

}  // namespace dd::confine
