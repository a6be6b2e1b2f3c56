#include "guest/confine/test/supervisor.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "guest/confine/report.h"

namespace dd::confine::test {
namespace {

int failed_checks = 0;

[[noreturn]] void Give(const std::string& what) {
  Check("start", false, what + ": " + strerror(errno));
  exit(1);
}

// What the sentry's profile keeps of root's capabilities, as far as it matters here.
void DropSentryCapabilities() {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  constexpr uint32_t kKept = 1U << CAP_SETGID | 1U << CAP_DAC_OVERRIDE;
  const uint32_t kept = geteuid() == 0 ? kKept : 0;
  const __user_cap_data_struct sets[2] = {{.effective = kept, .permitted = kept, .inheritable = 0},
                                          {}};
  if (syscall(SYS_capset, &header, sets) != 0) Give("sentry capabilities");
}

int CopyToMemory(const char* path, Confinement* confinement) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) Give(path);
  if (const Failure failure = ReadConfinement(file, confinement); failure.failed()) {
    errno = failure.error;
    Give("description");
  }
  close(file);
  const int memory = memfd_create("confinement", MFD_CLOEXEC);
  if (memory < 0 || write(memory, confinement, sizeof(*confinement)) < 0) Give("memfd");
  return memory;
}

}  // namespace

void EnterSentryDomain() {
  const uint64_t attributes[3] = {0xffff, 0, 0};
  const auto ruleset =
      static_cast<int>(syscall(SYS_landlock_create_ruleset, attributes, sizeof(attributes), 0U));
  struct [[gnu::packed]] {
    uint64_t access;
    int32_t parent;
  } rule = {0xf, open("/", O_PATH | O_CLOEXEC)};
  if (ruleset < 0 || syscall(SYS_landlock_add_rule, ruleset, 1, &rule, 0U) != 0 ||
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      syscall(SYS_landlock_restrict_self, ruleset, 0U) != 0) {
    Give("sentry domain");
  }
  close(rule.parent);
  close(ruleset);
}

void Check(const std::string& name, bool ok, const std::string& detail) {
  if (!ok) ++failed_checks;
  printf("{\"check\":\"%s\",\"ok\":%s,\"detail\":\"%s\"}\n", name.c_str(), ok ? "true" : "false",
         detail.c_str());
  fflush(stdout);
}

int FailedChecks() { return failed_checks; }

Supervisor::Supervisor(const char* description_path, bool landlock) {
  description_ = CopyToMemory(description_path, &confinement_);
  board_file_ = memfd_create("board", MFD_CLOEXEC);
  if (board_file_ < 0 || ftruncate(board_file_, sizeof(Board)) != 0) Give("board");
  void* const memory =
      mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED, board_file_, 0);
  if (memory == MAP_FAILED) Give("board");
  board_ = new (memory) Board();
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) Give("socketpair");
  control_ = pair[0];
  remote_ = pair[1];

  const pid_t prepare = Spawn("prepare", false);
  Receive(namespaces_, 2);
  waitpid(prepare, nullptr, 0);
  if (landlock) {
    EnterSentryDomain();
    DropSentryCapabilities();
  }
  const pid_t launch = Spawn("launch", true);
  launcher_ = Receive(nullptr, 0).pid;
  waitpid(launch, nullptr, 0);
  Receive(&listener_, 1);
}

// Puts each descriptor at its number in the child, and nothing else.
pid_t Supervisor::Spawn(const char* role, bool with_namespaces) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  const std::array<int, 5> from = {remote_, description_, board_file_, namespaces_[0],
                                   namespaces_[1]};
  const size_t count = with_namespaces ? from.size() : 3;
  constexpr int kAside = 64;  // Above every target, so that no dup2 hits a source.
  for (size_t i = 0; i < count; ++i) {
    const int aside = fcntl(from[i], F_DUPFD_CLOEXEC, kAside);
    if (aside < 0) _exit(99);
    dup2(aside, kControl + static_cast<int>(i));
  }
  char program[] = "dd-confine-test";
  char* const argv[] = {program, const_cast<char*>(role), nullptr};
  char* const environment[] = {nullptr};
  execve("/proc/self/exe", argv, environment);
  _exit(98);
}

Report Supervisor::Receive(int* descriptors, int count) {
  Report report{};
  iovec payload = {.iov_base = &report, .iov_len = sizeof(report)};
  alignas(cmsghdr) char ancillary[CMSG_SPACE(kReportDescriptorsMax * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &payload;
  message.msg_iovlen = 1;
  message.msg_control = ancillary;
  message.msg_controllen = sizeof(ancillary);
  if (recvmsg(control_, &message, MSG_CMSG_CLOEXEC) != static_cast<ssize_t>(sizeof(report))) {
    Give("report");
  }
  if (report.kind == ReportKind::kFailed) {
    errno = report.error;
    Give("step " + std::to_string(static_cast<uint32_t>(report.step)));
  }
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  const size_t length = static_cast<size_t>(count) * sizeof(int);
  if (count > 0) {
    if (header == nullptr || header->cmsg_len != CMSG_LEN(length)) Give("descriptors");
    memcpy(descriptors, CMSG_DATA(header), length);
  }
  return report;
}

pid_t Supervisor::Start(Scenario scenario, uint32_t probe, pid_t target) {
  new (board_) Board();
  const Order order = {Order::Kind::kStart, scenario, probe, target};
  int pid = -1;
  if (send(control_, &order, sizeof(order), MSG_NOSIGNAL) < 0 ||
      recv(control_, &pid, sizeof(pid), 0) < 0) {
    Give("order");
  }
  return pid;
}

int Supervisor::Reap() {
  const Order order = {Order::Kind::kReap, Scenario::kHold, 0, -1};
  int status = -1;
  if (send(control_, &order, sizeof(order), MSG_NOSIGNAL) < 0 ||
      recv(control_, &status, sizeof(status), 0) < 0) {
    Give("order");
  }
  return status;
}

pid_t Supervisor::ServeNotification(int file) {
  seccomp_notif notification{};
  if (ioctl(listener_, SECCOMP_IOCTL_NOTIF_RECV, &notification) != 0) return -1;
  if (notification.data.nr != kNotifyCall || notification.data.args[0] != 1) return -1;
  const auto pid = static_cast<pid_t>(notification.pid);
  if (file < 0) {
    seccomp_notif_resp response = {.id = notification.id, .val = 5, .error = 0, .flags = 0};
    return ioctl(listener_, SECCOMP_IOCTL_NOTIF_SEND, &response) == 0 ? pid : -1;
  }
  seccomp_notif_addfd donation = {.id = notification.id,
                                  .flags = SECCOMP_ADDFD_FLAG_SEND | SECCOMP_ADDFD_FLAG_SETFD,
                                  .srcfd = static_cast<uint32_t>(file),
                                  .newfd = kWindowFirst,
                                  .newfd_flags = O_CLOEXEC};
  return ioctl(listener_, SECCOMP_IOCTL_NOTIF_ADDFD, &donation) == kWindowFirst ? pid : -1;
}

}  // namespace dd::confine::test
