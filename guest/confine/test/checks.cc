#include "guest/confine/test/checks.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <string>

#include "guest/confine/test/probes.h"
#include "guest/confine/test/supervisor.h"

namespace dd::confine::test {
namespace {

bool ExitedWell(int status) { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }

std::string Outcome(int status, const Board& board) {
  return "status " + std::to_string(status) + ", traps " + std::to_string(board.traps.load()) +
         ", result " + std::to_string(board.result.load());
}

// Under the filter the first call of a probe must trap; what a script does next does not matter.
void CheckTrapped(Supervisor& supervisor, uint32_t at, Scenario scenario, const char* from) {
  supervisor.Start(scenario, at);
  const int status = supervisor.Reap();
  const Board& board = supervisor.board();
  const Probe& probe = Probes()[at];
  const bool same =
      probe.run != nullptr || board.trapped_call.load() == static_cast<int32_t>(probe.number);
  const bool ok =
      ExitedWell(status) && board.traps.load() == 1 && same && board.result.load() == -ENOSYS;
  Check(std::string(probe.name) + " traps, called from " + from, ok, Outcome(status, board));
}

void CheckSecondLayer(Supervisor& supervisor, uint32_t at) {
  supervisor.Start(Scenario::kProbeNoFilter, at);
  const int status = supervisor.Reap();
  const Board& board = supervisor.board();
  const bool ok = ExitedWell(status) && board.traps.load() == 0 && board.result.load() < 0;
  Check(std::string(Probes()[at].name) + " fails without the filter", ok, Outcome(status, board));
}

void CheckProbes(Supervisor& supervisor) {
  for (uint32_t at = 0; at < Probes().size(); ++at) {
    CheckTrapped(supervisor, at, Scenario::kProbeOutside, "guest code");
    CheckTrapped(supervisor, at, Scenario::kProbeInside, "the stub page");
    if (Probes()[at].second == SecondLayer::kDenied) CheckSecondLayer(supervisor, at);
  }
  supervisor.Start(Scenario::kProbeWrongArch);
  const int status = supervisor.Reap();
  Check("int 0x80 kills the process", WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS,
        Outcome(status, supervisor.board()));
}

// Whether an executor starts at all; else says which step was refused.
bool CheckConfined(Supervisor& supervisor) {
  supervisor.Start(Scenario::kAllowedCalls);
  const int status = supervisor.Reap();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != kNotConfined) return true;
  const Board& board = supervisor.board();
  Check("start", false,
        "step " + std::to_string(board.values[0].load()) + ": " +
            strerror(static_cast<int>(-board.result.load())));
  return false;
}

void CheckAllowedCalls(Supervisor& supervisor) {
  constexpr std::array<const char*, 12> kNames = {
      "mmap",  "mprotect",    "madvise",        "mremap",      "munmap", "futex wake",
      "futex", "sched_yield", "rt_sigprocmask", "sigaltstack", "close",  "clone of a fork"};
  supervisor.Start(Scenario::kAllowedCalls);
  const int status = supervisor.Reap();
  const Board& board = supervisor.board();
  for (size_t i = 0; i < kNames.size(); ++i) {
    Check(std::string("allowed: ") + kNames[i], board.values[i].load() == 0,
          std::to_string(board.values[i].load()));
  }
  const int64_t thread = board.values[kValuesMax - 1].load();
  Check("allowed: clone of a thread", thread > 0, std::to_string(thread));
  Check("no allowed call traps", ExitedWell(status) && board.traps.load() == 0,
        Outcome(status, board));
}

// A file of one page of 'd', for donation.
int DonatedFile(int flags) {
  char path[] = "/tmp/dd-confine-XXXXXX";
  const int writable = mkostemp(path, O_CLOEXEC);
  const std::string page(4096, 'd');
  const ssize_t written = write(writable, page.data(), page.size());
  const int file = open(path, flags | O_CLOEXEC);
  unlink(path);
  close(writable);
  return written == static_cast<ssize_t>(page.size()) ? file : -1;
}

void CheckDonation(Supervisor& supervisor, int file) {
  supervisor.Start(Scenario::kDonation);
  const pid_t pid = supervisor.ServeNotification(file);
  int status = supervisor.Reap();
  Check("a donated file can be mapped",
        pid > 0 && ExitedWell(status) && supervisor.board().values[0].load() == kWindowFirst &&
            supervisor.board().result.load() == 'd',
        Outcome(status, supervisor.board()));
  supervisor.Start(Scenario::kWrongDonation);
  supervisor.ServeNotification(file);
  status = supervisor.Reap();
  Check("a read-only donated file cannot be mapped shared and writable",
        ExitedWell(status) && supervisor.board().result.load() == -EACCES,
        Outcome(status, supervisor.board()));
}

std::string ReadText(const std::string& path) {
  std::array<char, 8192> text{};
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  const ssize_t length = read(fd, text.data(), text.size());
  close(fd);
  return length > 0 ? std::string(text.data(), static_cast<size_t>(length)) : "";
}

// The words after "Name:" in a /proc/PID/status.
std::string StatusField(const std::string& status, const std::string& name) {
  const size_t start = status.find("\n" + name + ":\t");
  if (start == std::string::npos) return "absent";
  const size_t value = start + name.size() + 3;
  std::string field = status.substr(value, status.find('\n', value) - value);
  for (char& c : field) {
    if (c == '\t') c = ' ';
  }
  return field;
}

void CheckStatus(const Supervisor& supervisor, const std::string& process) {
  const std::string status = ReadText(process + "/status");
  const auto expect = [&](const char* field, const std::string& value) {
    const std::string found = StatusField(status, field);
    Check(std::string("status of an executor: ") + field, found == value, found);
  };
  const std::string uid = std::to_string(supervisor.confinement().host_uid);
  const std::string gid = std::to_string(supervisor.confinement().host_gid);
  expect("Uid", uid + " " + uid + " " + uid + " " + uid);
  expect("Gid", gid + " " + gid + " " + gid + " " + gid);
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    expect(set, "0000000000000000");
  }
  expect("NoNewPrivs", "1");
  expect("Seccomp", "2");
  expect("Seccomp_filters", "2");
  if (geteuid() == 0) expect("Groups", " ");
}

void CheckNamespaces(const std::string& process) {
  for (const char* name : {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"}) {
    struct stat ours {};
    struct stat theirs {};
    const bool read = stat((std::string("/proc/self/ns/") + name).c_str(), &ours) == 0 &&
                      stat((process + "/ns/" + name).c_str(), &theirs) == 0;
    Check(std::string("an executor has its own namespace: ") + name,
          read && ours.st_ino != theirs.st_ino, read ? "read" : strerror(errno));
  }
}

int CountEntries(const std::string& path) {
  DIR* const directory = opendir(path.c_str());
  if (directory == nullptr) return -1;
  int count = 0;
  while (const dirent* entry = readdir(directory)) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) ++count;
  }
  closedir(directory);
  return count;
}

// Whether the owner of the namespaces is all that counts: a process of the same host user, but with
// rights over another user namespace only, as in another container, must not reach an executor.
void CheckStranger(pid_t pid, const iovec& remote) {
  const pid_t stranger = fork();
  if (stranger == 0) {
    uint64_t secret = 0;
    const iovec local = {&secret, sizeof(secret)};
    if (unshare(CLONE_NEWUSER) != 0) _exit(1);
    const bool read = process_vm_readv(pid, &local, 1, &remote, 1, 0) >= 0;
    _exit(!read && errno == EPERM ? 0 : 2);
  }
  int status = -1;
  waitpid(stranger, &status, 0);
  Check("the same user in another user namespace cannot read an executor's memory", status == 0,
        std::to_string(status));
}

// What the sentry must be able to do with a confined executor.
void CheckReach(Supervisor& supervisor, pid_t pid) {
  const Board& board = supervisor.board();
  uint64_t secret = 0;
  iovec local = {&secret, sizeof(secret)};
  const iovec remote = {reinterpret_cast<void*>(board.secret_address.load()), sizeof(secret)};
  const ssize_t read = process_vm_readv(pid, &local, 1, &remote, 1, 0);
  Check("the sentry reads an executor's memory",
        read == sizeof(secret) && secret == 0x1122334455667788,
        read < 0 ? strerror(errno) : std::to_string(read));
  secret = 42;
  const ssize_t written = process_vm_writev(pid, &local, 1, &remote, 1, 0);
  Check("the sentry writes an executor's memory", written == sizeof(secret),
        written < 0 ? strerror(errno) : std::to_string(written));
  const auto pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  const auto fd = static_cast<int>(syscall(SYS_pidfd_getfd, pidfd, kWindowFirst, 0));
  Check("the sentry takes a copy of an executor's descriptor", pidfd >= 0 && fd >= 0,
        fd < 0 ? strerror(errno) : "read");
  close(fd);
  close(pidfd);
  CheckStranger(pid, remote);
}

void CheckHeldExecutor(Supervisor& supervisor, int file) {
  supervisor.Start(Scenario::kHold);
  const pid_t pid = supervisor.ServeNotification(file);
  while (supervisor.board().ready.load() == 0) sched_yield();
  const std::string process = "/proc/" + std::to_string(pid);
  CheckStatus(supervisor, process);
  CheckNamespaces(process);
  const int descriptors = CountEntries(process + "/fd");
  Check("an executor holds its donated descriptor only", descriptors == 1,
        std::to_string(descriptors));
  // Being in an empty root, its view of its own root has nothing in it; ours through /proc agrees.
  const int entries = CountEntries(process + "/root/");
  const std::string mounts = ReadText(process + "/mountinfo");
  Check("an executor's root is empty", entries == 0 || (entries < 0 && errno == EACCES),
        std::to_string(entries));
  Check("an executor has one mount, read-only and without rights",
        mounts.find("ro,nosuid,nodev,noexec") != std::string::npos &&
            mounts.find('\n') == mounts.size() - 1,
        std::to_string(mounts.size()) + " bytes");
  Check("an executor's environment is empty", ReadText(process + "/environ").empty(), "read");
  rlimit core{};
  rlimit files{};
  prlimit(pid, RLIMIT_CORE, nullptr, &core);
  prlimit(pid, RLIMIT_NOFILE, nullptr, &files);
  Check("an executor's limits are set", core.rlim_max == 0 && files.rlim_max == kWindowLast + 1,
        std::to_string(files.rlim_max));
  CheckReach(supervisor, pid);
  supervisor.board().go.store(1);
  const int status = supervisor.Reap();
  Check("an executor sees what the sentry wrote",
        ExitedWell(status) && supervisor.board().secret.load() == 42,
        Outcome(status, supervisor.board()));
}

// Two executors of one container are in different domains.
void CheckSiblings(Supervisor& supervisor, int file) {
  for (uint32_t attack = 0; attack < kSiblingAttacks; ++attack) {
    const pid_t sibling = supervisor.Start(Scenario::kHold);
    supervisor.ServeNotification(file);
    while (supervisor.board().ready.load() == 0) sched_yield();
    supervisor.Start(Scenario::kSibling, attack, sibling);
    while (supervisor.board().ready.load() == 0) sched_yield();
    const int64_t result = supervisor.board().result.load();
    supervisor.board().go.store(1);
    supervisor.Reap();
    Check(std::string(SiblingAttackName(attack)) + " on a sibling fails without the filter",
          result == -EPERM, std::to_string(result));
  }
}

void CheckForkLimit(Supervisor& supervisor) {
  supervisor.Start(Scenario::kForkLimit);
  const int status = supervisor.Reap();
  const int64_t forks = supervisor.board().values[0].load();
  Check("forks end at the process limit",
        ExitedWell(status) && supervisor.board().result.load() == -EAGAIN && forks > 0,
        std::to_string(forks) + " forks");
}

// The death of the launcher must take a running executor along.
void CheckTeardown(Supervisor& supervisor) {
  supervisor.Start(Scenario::kHold);
  const pid_t pid = supervisor.ServeNotification(-1);
  const auto pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  kill(supervisor.launcher(), SIGKILL);
  int status = 0;
  const bool child = waitpid(supervisor.launcher(), &status, 0) == supervisor.launcher();
  Check("the launcher is a child of the sentry", child, std::to_string(status));
  // Reaped with its namespace: no process of that pid is left.
  Check("an executor dies with the launcher", kill(pid, 0) != 0 && errno == ESRCH, strerror(errno));
  close(pidfd);
}

// What ConnectAbstract in probes.cc tries to reach.
int ListenAbstract() {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  constexpr char kName[] = "\0dd-confine-test";
  memcpy(address.sun_path, kName, sizeof(kName) - 1);
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + sizeof(kName) - 1);
  // Another run on the same host may hold the name: it then listens for both.
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0) listen(fd, 1);
  return fd;
}

}  // namespace

int RunChecks(const char* path, bool landlock) {
  const int file = DonatedFile(O_RDONLY);
  const int listener = ListenAbstract();
  Supervisor supervisor(path, landlock);
  if (!CheckConfined(supervisor)) return 1;
  CheckAllowedCalls(supervisor);
  CheckDonation(supervisor, file);
  CheckHeldExecutor(supervisor, file);
  CheckSiblings(supervisor, file);
  CheckForkLimit(supervisor);
  CheckProbes(supervisor);
  CheckTeardown(supervisor);
  close(listener);
  return FailedChecks() == 0 ? 0 : 1;
}

}  // namespace dd::confine::test
