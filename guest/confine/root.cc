#include "guest/confine/root.h"

#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace dd::confine {

Failure EmptyRoot() {
  // Nothing that happens here may travel back to the host's mounts.
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return Failed(Step::kRoot);
  // Any directory will do as the place to mount on; /proc is there, it has just been used.
  const unsigned long flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (mount("none", "/proc", "tmpfs", flags, "size=4k,nr_inodes=2,mode=555") != 0) {
    return Failed(Step::kRoot);
  }
  // With "." twice the old root ends up on top of the new one, from where it is detached.
  if (chdir("/proc") != 0 || syscall(SYS_pivot_root, ".", ".") != 0 ||
      umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) {
    return Failed(Step::kRoot);
  }
  return kDone;
}

}  // namespace dd::confine
