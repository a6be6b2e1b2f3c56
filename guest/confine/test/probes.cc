#include "guest/confine/test/probes.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

namespace dd::confine::test {
namespace {

using enum SecondLayer;

constexpr long kLauncher = 1;  // The first process of the pid namespace.
constexpr long kNoProcess = 0x3fffff;
constexpr long kHugeTlb = 0x40000;

// Memory for the kernel to read or write; zero unless noted.
alignas(4096) char scratch[8192];
uint32_t word = 0;
iovec vector = {scratch, 16};
rlimit unlimited = {1 << 20, 1 << 20};
sched_param priority = {.sched_priority = 1};
clone_args user_clone = {};
__user_cap_header_struct cap_header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
__user_cap_data_struct all_caps[2] = {{~0U, ~0U, ~0U}, {~0U, ~0U, ~0U}};
// struct open_how {flags, mode, resolve}.
uint64_t open_how[3] = {O_RDONLY, 0, 0};

long Address(const void* pointer) { return reinterpret_cast<long>(pointer); }

long Call3(Caller call, long number, long a, long b, long c) {
  return call(number, a, b, c, 0, 0, 0);
}

long ConnectTcp(Caller call) {
  const long fd = Call3(call, SYS_socket, AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return fd;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(22);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return Call3(call, SYS_connect, fd, Address(&address), sizeof(address));
}

long BindTcp(Caller call) {
  const long fd = Call3(call, SYS_socket, AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return fd;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(8080);
  return Call3(call, SYS_bind, fd, Address(&address), sizeof(address));
}

// The supervisor listens on this abstract name outside of the container.
long ConnectAbstract(Caller call) {
  const long fd = Call3(call, SYS_socket, AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return fd;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  constexpr char kName[] = "\0dd-confine-test";
  memcpy(address.sun_path, kName, sizeof(kName) - 1);
  const long length = static_cast<long>(offsetof(sockaddr_un, sun_path) + sizeof(kName) - 1);
  return Call3(call, SYS_connect, fd, Address(&address), length);
}

long StealDescriptor(Caller call) {
  const long pidfd = Call3(call, SYS_pidfd_open, kLauncher, 0, 0);
  if (pidfd < 0) return pidfd;
  return Call3(call, SYS_pidfd_getfd, pidfd, 3, 0);
}

long EnterHostNamespace(Caller call) {
  const long pidfd = Call3(call, SYS_pidfd_open, kLauncher, 0, 0);
  if (pidfd < 0) return pidfd;
  return Call3(call, SYS_setns, pidfd, CLONE_NEWNS, 0);
}

Probe Row(const char* name, SecondLayer second, long number, long a = 0, long b = 0, long c = 0,
          long d = 0, long e = 0, long f = 0) {
  return {name, second, number, {a, b, c, d, e, f}, nullptr};
}

Probe Script(const char* name, SecondLayer second, long (*run)(Caller)) {
  return {name, second, -1, {}, run};
}

constexpr long kReadWrite = PROT_READ | PROT_WRITE;
constexpr long kPrivate = MAP_PRIVATE | MAP_ANONYMOUS;

const Probe kProbes[] = {
    // Files.
    Row("open of /etc/passwd", kDenied, SYS_open, Address("/etc/passwd"), O_RDONLY),
    Row("openat of the root directory", kDenied, SYS_openat, AT_FDCWD, Address("/"), O_RDONLY),
    Row("openat of /proc/self/mem", kDenied, SYS_openat, AT_FDCWD, Address("/proc/self/mem"),
        O_RDWR),
    Row("openat2 of /proc/1/root", kDenied, SYS_openat2, AT_FDCWD, Address("/proc/1/root"),
        Address(open_how), sizeof(open_how)),
    Row("open of /dev/mem", kDenied, SYS_open, Address("/dev/mem"), O_RDWR),
    Row("creat in the root directory", kDenied, SYS_creat, Address("/x"), 0600),
    Row("openat of an unnamed file", kDenied, SYS_openat, AT_FDCWD, Address("/"),
        O_TMPFILE | O_RDWR, 0600),
    Row("mkdir", kDenied, SYS_mkdir, Address("/d"), 0700),
    Row("symlink", kDenied, SYS_symlink, Address("a"), Address("/s")),
    Row("mknod of a device", kDenied, SYS_mknod, Address("/m"), S_IFCHR | 0600, 0x103),
    Row("stat of /proc/self", kDenied, SYS_stat, Address("/proc/self"), Address(scratch)),
    Row("readlink of /proc/self/exe", kDenied, SYS_readlink, Address("/proc/self/exe"),
        Address(scratch), 64),
    Row("open_by_handle_at", kDenied, SYS_open_by_handle_at, AT_FDCWD, Address(scratch), O_RDONLY),
    Row("execve of /bin/sh", kDenied, SYS_execve, Address("/bin/sh")),
    Row("execveat of /bin/sh", kDenied, SYS_execveat, AT_FDCWD, Address("/bin/sh")),
    Row("read of descriptor 0", kDenied, SYS_read, 0, Address(scratch), 1),
    Row("write to descriptor 1", kDenied, SYS_write, 1, Address("x"), 1),
    Row("recvmsg from the control socket", kDenied, SYS_recvmsg, 3, Address(scratch)),
    Row("fcntl of descriptor 3", kDenied, SYS_fcntl, 3, F_GETFD),
    Row("ioctl of descriptor 0", kDenied, SYS_ioctl, 0, 0x5401, Address(scratch)),
    Row("dup of descriptor 3", kDenied, SYS_dup, 3),
    Row("close outside the window", kDenied, SYS_close, 3),
    Row("mmap of a descriptor outside the window", kDenied, SYS_mmap, 0, 4096, PROT_READ,
        MAP_PRIVATE, 3),
    // Mounts and namespaces.
    Row("mount", kDenied, SYS_mount, Address("none"), Address("/"), Address("tmpfs")),
    Row("umount2 of the root", kDenied, SYS_umount2, Address("/"), 2),
    Row("pivot_root", kDenied, SYS_pivot_root, Address("."), Address(".")),
    Row("chroot", kDenied, SYS_chroot, Address("/")),
    Row("fsopen", kDenied, SYS_fsopen, Address("tmpfs"), 0),
    Row("open_tree", kDenied, SYS_open_tree, AT_FDCWD, Address("/"), 1),
    Row("unshare of the user namespace", kDenied, SYS_unshare, CLONE_NEWUSER),
    Row("unshare of the mount namespace", kDenied, SYS_unshare, CLONE_NEWNS),
    Row("clone into a user namespace", kDenied, SYS_clone, CLONE_NEWUSER | SIGCHLD),
    Row("clone3 into a user namespace", kDenied, SYS_clone3, Address(&user_clone),
        sizeof(user_clone)),
    Script("setns through a pidfd", kDenied, EnterHostNamespace),
    // Processes that the filter does not know.
    Row("clone without tracing", kNotRun, SYS_clone, CLONE_UNTRACED | SIGCHLD),
    Row("clone with a high flag", kNotRun, SYS_clone, (1L << 33) | SIGCHLD),
    Row("clone with a shared descriptor table", kNotRun, SYS_clone, CLONE_FILES | SIGCHLD),
    Row("clone of a thread without SETTLS", kNotRun, SYS_clone, 0x3d0f00 & ~CLONE_SETTLS),
    Row("clone with another exit signal", kNotRun, SYS_clone, SIGKILL),
    Row("fork", kNotRun, SYS_fork),
    Row("vfork", kNotRun, SYS_vfork),
    // Other processes.
    Row("ptrace of the launcher", kDenied, SYS_ptrace, PTRACE_ATTACH, kLauncher),
    Row("ptrace seize of the launcher", kDenied, SYS_ptrace, PTRACE_SEIZE, kLauncher),
    Row("process_vm_readv of the launcher", kDenied, SYS_process_vm_readv, kLauncher,
        Address(&vector), 1, Address(&vector), 1),
    Row("process_vm_writev of the launcher", kDenied, SYS_process_vm_writev, kLauncher,
        Address(&vector), 1, Address(&vector), 1),
    Script("pidfd_getfd from the launcher", kDenied, StealDescriptor),
    Row("kill of the launcher", kDenied, SYS_kill, kLauncher, SIGTERM),
    Row("kill of a process that is not there", kDenied, SYS_kill, kNoProcess, SIGKILL),
    Row("tgkill of the launcher", kDenied, SYS_tgkill, kLauncher, kLauncher, SIGTERM),
    Row("rt_sigqueueinfo to the launcher", kDenied, SYS_rt_sigqueueinfo, kLauncher, SIGTERM,
        Address(scratch)),
    Row("kcmp with the launcher", kDenied, SYS_kcmp, kLauncher, kLauncher, 0, 0, 0),
    Row("prlimit64 of the launcher", kDenied, SYS_prlimit64, kLauncher, RLIMIT_NOFILE,
        Address(&unlimited)),
    Row("get_robust_list of the launcher", kDenied, SYS_get_robust_list, kLauncher,
        Address(scratch), Address(scratch + 64)),
    // Network.
    Row("socket of IPv4", kNone, SYS_socket, AF_INET, SOCK_STREAM),
    Row("socket of netlink", kNone, SYS_socket, AF_NETLINK, SOCK_RAW),
    Row("socket of AF_ALG", kNone, SYS_socket, AF_ALG, SOCK_SEQPACKET),
    Row("socket of AF_VSOCK", kNone, SYS_socket, AF_VSOCK, SOCK_STREAM),
    Row("socketpair", kNone, SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, Address(scratch)),
    Row("raw socket", kDenied, SYS_socket, AF_INET, SOCK_RAW, IPPROTO_ICMP),
    Row("packet socket", kDenied, SYS_socket, AF_PACKET, SOCK_RAW),
    Script("connect by TCP", kDenied, ConnectTcp),
    Script("bind by TCP", kDenied, BindTcp),
    Script("connect to an abstract socket of the host", kDenied, ConnectAbstract),
    // Privilege.
    Row("capset of all capabilities", kDenied, SYS_capset, Address(&cap_header), Address(all_caps)),
    Row("setuid to another user", kDenied, SYS_setuid, 1),
    Row("setgroups", kDenied, SYS_setgroups, 0, 0),
    Row("setrlimit beyond the hard limit", kDenied, SYS_setrlimit, RLIMIT_NOFILE,
        Address(&unlimited)),
    Row("sched_setscheduler to real time", kDenied, SYS_sched_setscheduler, 0, SCHED_FIFO,
        Address(&priority)),
    Row("setpriority above normal", kDenied, SYS_setpriority, PRIO_PROCESS, 0, -20),
    Row("mlock", kDenied, SYS_mlock, Address(scratch), 4096),
    Row("sethostname", kDenied, SYS_sethostname, Address("x"), 1),
    Row("settimeofday", kDenied, SYS_settimeofday, Address(scratch)),
    Row("reboot", kDenied, SYS_reboot, 0xfee1dead, 672274793, 0),
    Row("kexec_load", kDenied, SYS_kexec_load),
    Row("init_module", kDenied, SYS_init_module, Address(scratch), 16, Address("")),
    Row("swapon", kDenied, SYS_swapon, Address("/x")),
    Row("acct", kDenied, SYS_acct, Address("/x")),
    Row("iopl", kDenied, SYS_iopl, 3),
    Row("ioperm", kDenied, SYS_ioperm, 0, 1, 1),
    Row("syslog", kDenied, SYS_syslog, 3, Address(scratch), 16),
    Row("quotactl", kDenied, SYS_quotactl, 0x800002 << 8, Address("/x"), 0, Address(scratch)),
    // Parts of the kernel that have been a way out before.
    Row("bpf", kDenied, SYS_bpf, 5, Address(scratch), 48),
    Row("perf_event_open", kNone, SYS_perf_event_open, Address(scratch), 0, -1, -1, 0),
    Row("userfaultfd", kNone, SYS_userfaultfd, 1),
    Row("io_uring_setup", kNone, SYS_io_uring_setup, 1, Address(scratch)),
    Row("keyctl", kNone, SYS_keyctl, 0, -3),
    Row("add_key", kNone, SYS_add_key, Address("user"), Address("k"), Address("v"), 1, -2),
    Row("memfd_create", kNone, SYS_memfd_create, Address("m"), 0),
    Row("memfd_secret", kNone, SYS_memfd_secret, 0),
    Row("modify_ldt", kNone, SYS_modify_ldt, 0, Address(scratch), 16),
    Row("arch_prctl", kNone, SYS_arch_prctl, 0x1003, Address(scratch)),
    Row("personality", kNone, SYS_personality, 0xffffffff),
    Row("prctl", kNone, SYS_prctl, 3),
    Row("seccomp", kNone, SYS_seccomp, 2, 0, Address(&word)),
    Row("shmget", kNone, SYS_shmget, 0, 4096, 01600),
    Row("mq_open", kDenied, SYS_mq_open, Address("q"), O_RDWR | O_CREAT, 0600, 0),
    Row("fanotify_init", kNone, SYS_fanotify_init, 0, 0),
    Row("inotify_init1", kNone, SYS_inotify_init1, 0),
    Row("timer_create", kNone, SYS_timer_create, 0, 0, Address(scratch)),
    Row("pipe2", kNone, SYS_pipe2, Address(scratch), 0),
    Row("membarrier", kNone, SYS_membarrier, 0, 0, 0),
    Row("pkey_alloc", kNone, SYS_pkey_alloc, 0, 0),
    Row("rt_sigaction", kNone, SYS_rt_sigaction, SIGUSR1, 0, Address(scratch), 8),
    // Allowed calls with other arguments.
    Row("futex with priority inheritance", kNone, SYS_futex, Address(&word), FUTEX_LOCK_PI),
    Row("futex requeue", kNone, SYS_futex, Address(&word), FUTEX_CMP_REQUEUE, 0, 0, Address(&word)),
    Row("futex with unknown bits", kDenied, SYS_futex, Address(&word), FUTEX_WAKE | 0x400, 1),
    Row("mmap of huge pages", kNone, SYS_mmap, 0, 1 << 21, kReadWrite, kPrivate | kHugeTlb, -1),
    Row("mmap of a growing stack", kNone, SYS_mmap, 0, 4096, kReadWrite, kPrivate | MAP_GROWSDOWN,
        -1),
    Row("mmap of locked memory", kDenied, SYS_mmap, 0, 4096, kReadWrite, kPrivate | MAP_LOCKED, -1),
    Row("mmap with high flag bits", kNone, SYS_mmap, 0, 4096, kReadWrite, kPrivate | (1L << 40),
        -1),
    Row("mmap with an odd protection", kNone, SYS_mmap, 0, 4096, PROT_READ | 0x8, kPrivate, -1),
    Row("mprotect of a growing range", kDenied, SYS_mprotect, Address(scratch), 4096,
        PROT_READ | PROT_GROWSDOWN),
    Row("mremap without unmapping", kDenied, SYS_mremap, Address(scratch), 4096, 4096, 4),
    Row("madvise that poisons", kDenied, SYS_madvise, Address(scratch), 4096, 100),
    Row("madvise that merges", kNone, SYS_madvise, Address(scratch), 4096, 12),
    Row("madvise that undoes DONTFORK", kNone, SYS_madvise, Address(scratch), 4096, 11),
    Row("x32 getpid", kDenied, SYS_getpid | 0x40000000),
    Row("a call that does not exist", kDenied, 999),
};

}  // namespace

std::span<const Probe> Probes() {
  user_clone.flags = CLONE_NEWUSER;
  user_clone.exit_signal = SIGCHLD;
  return kProbes;
}

const char* SiblingAttackName(uint32_t attack) {
  constexpr const char* kNames[kSiblingAttacks] = {
      "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kill", "prlimit64"};
  return kNames[attack];
}

long AttackSibling(uint32_t attack, long target) {
  const long self = Address(&vector);
  switch (attack) {
    case 0:
      return Call3(CallOutside, SYS_ptrace, PTRACE_SEIZE, target, 0);
    case 1:
      return CallOutside(SYS_process_vm_readv, target, self, 1, self, 1, 0);
    case 2:
      return CallOutside(SYS_process_vm_writev, target, self, 1, self, 1, 0);
    case 3:
      return Call3(CallOutside, SYS_pidfd_getfd, Call3(CallOutside, SYS_pidfd_open, target, 0, 0),
                   kWindowFirst, 0);
    case 4:
      return Call3(CallOutside, SYS_kill, target, SIGKILL, 0);
    default:
      return CallOutside(SYS_prlimit64, target, RLIMIT_NOFILE, Address(&unlimited), 0, 0, 0);
  }
}

long RunProbe(const Probe& probe, Caller call) {
  if (probe.run != nullptr) return probe.run(call);
  const long* a = probe.args;
  return call(probe.number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

}  // namespace dd::confine::test
