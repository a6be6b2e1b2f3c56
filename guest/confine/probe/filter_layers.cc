#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "guest/confine/capabilities.h"
#include "guest/confine/landlock.h"
#include "guest/confine/probe/layer.h"
#include "guest/confine/seccomp.h"

namespace dd::confine::probe {
namespace {

constexpr uint32_t kLandlockAbi = 6;
constexpr int kDonatedAt = kWindowFirst;
constexpr char kDonated = 'd';

volatile sig_atomic_t trapped = 0;

void OnTrap(int) { trapped = 1; }

Outcome TryNoNewPrivileges() {
  const Failure failure = ForbidNewPrivileges();
  if (failure.failed()) return FailsWith(failure.error, "prctl");
  return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? Works() : FailsWith(EINVAL, "not in force");
}

Outcome TryTrap() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Fails("no_new_privs");
  signal(SIGSYS, OnTrap);
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {.len = 4, .filter = filter};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) return Fails("seccomp");
  syscall(SYS_getppid);
  return trapped == 1 ? Works() : FailsWith(EINVAL, "no signal came");
}

// The notify filter of profiles/linux/seccomp.ts, by hand: the probe has no description.
Failure InstallListener(int* listener) {
  static Confinement confinement{};
  const sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kNotifyCall, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  memcpy(confinement.notify_filter, filter, sizeof(filter));
  confinement.notify_filter_length = sizeof(filter) / sizeof(*filter);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Failed(Step::kNoNewPrivileges);
  return InstallNotifyFilter(confinement, listener);
}

// The executor's part: asks for a descriptor and reads a byte of it.
[[noreturn]] void Ask() {
  char byte = 0;
  const long fd = syscall(kNotifyCall);
  if (fd != kDonatedAt) _exit(1);
  _exit(read(static_cast<int>(fd), &byte, 1) == 1 && byte == kDonated ? 0 : 2);
}

bool Donate(int listener, int file) {
  seccomp_notif notification{};
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification) != 0) return false;
  seccomp_notif_addfd donation = {.id = notification.id,
                                  .flags = SECCOMP_ADDFD_FLAG_SEND | SECCOMP_ADDFD_FLAG_SETFD,
                                  .srcfd = static_cast<uint32_t>(file),
                                  .newfd = kDonatedAt,
                                  .newfd_flags = O_CLOEXEC};
  return ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &donation) == kDonatedAt;
}

Outcome TryDonation() {
  int channel[2];
  if (pipe2(channel, O_CLOEXEC) != 0 || write(channel[1], &kDonated, 1) != 1) return Fails("pipe2");
  int listener = -1;
  if (const Failure failure = InstallListener(&listener); failure.failed()) {
    return FailsWith(failure.error, "creating a listener");
  }
  const pid_t child = fork();
  if (child < 0) return Fails("fork");
  if (child == 0) Ask();
  if (!Donate(listener, channel[0])) {
    const Outcome outcome = Fails("donating a descriptor");
    kill(child, SIGKILL);
    return outcome;
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status == 0 ? Works() : FailsWith(EINVAL, "the descriptor did not arrive");
}

Outcome TryLandlock() {
  const int abi = LandlockAbi();
  if (abi < 0) return Fails("this kernel has no Landlock");
  char detail[kDetailMax];
  snprintf(detail, sizeof(detail), "ABI %d", abi);
  Confinement confinement{};
  confinement.landlock_abi = kLandlockAbi;
  confinement.landlock_filesystem = 0xffff;
  confinement.landlock_network = 3;
  confinement.landlock_scoped = 3;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Fails("no_new_privs");
  const Failure failure = EnterLandlockDomain(confinement);
  if (failure.failed()) return FailsWith(failure.error, detail);
  const int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return fd < 0 && errno == EACCES ? Works(detail) : FailsWith(EINVAL, "the domain has no effect");
}

constexpr Layer kLayers[] = {
    {"no-new-privileges", TryNoNewPrivileges},
    {"seccomp-trap", TryTrap},
    {"seccomp-donation", TryDonation},
    {"landlock", TryLandlock},
};

}  // namespace

std::span<const Layer> FilterLayers() { return kLayers; }

}  // namespace dd::confine::probe
