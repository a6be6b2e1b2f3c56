// dd-guest: the launcher of a container's executors. It holds no guest code itself; for each
// program the sentry wants run it forks a process that becomes an executor (guest/native/start.h).
//
// Its one argument is the stage of a start (see guest/confine/confine.h for the untrusted ones):
//   trusted    no confinement: serves
//   ahead      translates a file and ends (ahead.h)
//   prepare    makes the container's outer namespaces, reports their descriptors, ends
//   launch     enters the user namespace and starts the next stage
//   confined   confines itself and serves
// Descriptors: 3 the control socket; trusted: 4 the pipe of EndWithSentry; else 4 the description
// of the confinement, 5 and 6 the user and the mount namespace.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest/confine/confine.h"
#include "guest/host/build.h"
#include "guest/host/facts.h"
#include "guest/launcher/ahead.h"
#include "guest/native/intercept.h"
#include "guest/native/start.h"
#include "ring/layout.h"

extern "C" {
extern const char dd_stub_start[];
extern const char dd_stub_end[];
extern const char __executable_start[];
extern const char etext[];
}

namespace dd::launcher {
namespace {

constexpr int kControlFd = 3;
constexpr int kDescriptionFd = 4;
constexpr int kUserNamespaceFd = 5;
constexpr int kMountNamespaceFd = 6;
constexpr uint32_t kMaxFiles = 16;
// Processes that one request may have reaped.
constexpr uint32_t kMaxReaped = 32;
static_assert(confine::kWindowFirst + kMaxFiles <= confine::kWindowLast);

uint64_t Address(const void* p) { return reinterpret_cast<uint64_t>(p); }

// The space of the one guest this process will hold once it has forked.
native::AddressSpace g_space;
// What executors apply to themselves in untrusted mode.
confine::Confinement g_confinement;
bool g_untrusted = false;
// Trusted mode: whose descriptors executors may take.
pid_t g_sentry_pid = 0;

[[noreturn]] void Fail(const char* what, int error) {
  dprintf(2, "dd-guest: %s: %s\n", what, strerror(error));
  _exit(70);
}

// Tells the sentry where things are. `listener` goes with it unless it has been reported before
// (-1).
bool SendHello(int listener) {
  ring::LauncherHello hello = {};
  hello.stub_start = Address(dd_stub_start);
  hello.stub_end = Address(dd_stub_end);
  host::FillGuestFacts(&hello);
  host::BuildOf(hello.build);
  hello.clock_tick = static_cast<uint32_t>(getauxval(AT_CLKTCK));
  iovec iov{&hello, sizeof hello};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  if (listener >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &listener, sizeof(int));
  }
  return sendmsg(kControlFd, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof hello);
}

// The host refuses while executors that are to be replaced are still ending.
constexpr int kForkAttempts = 200;
constexpr timespec kForkPause = {.tv_sec = 0, .tv_nsec = 5000000};

// fork(2), with patience.
pid_t Fork() {
  pid_t pid = fork();
  for (int i = 1; pid < 0 && errno == EAGAIN && i < kForkAttempts; i++) {
    nanosleep(&kForkPause, nullptr);
    pid = fork();
  }
  return pid;
}

void Send(const ring::LauncherReply& reply) {
  send(kControlFd, &reply, sizeof reply, MSG_NOSIGNAL);
}

// A request and its descriptors: pidfds, ring, doorbell, files.
struct Spawn {
  ring::LauncherRequest request;
  int fds[kMaxReaped + 2 + kMaxFiles];
  uint32_t fd_count;
};

// False at the end of the sentry.
bool Receive(Spawn* spawn) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof spawn->fds)];
  iovec iov{&spawn->request, sizeof spawn->request};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got;
  do {
    got = recvmsg(kControlFd, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof spawn->request)) return false;
  spawn->fd_count = 0;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(spawn->fds, CMSG_DATA(header), count * sizeof(int));
    spawn->fd_count = static_cast<uint32_t>(count);
  }
  const ring::LauncherRequest& request = spawn->request;
  const uint32_t wanted = request.token == 0 ? 0 : 2 + request.file_count;
  return request.reap_count <= kMaxReaped && request.file_count <= kMaxFiles &&
         spawn->fd_count == request.reap_count + wanted;
}

// Takes leave of processes whose end the sentry has seen. Returns the last one's wait status.
uint32_t Reap(const int* pidfds, uint32_t count) {
  siginfo_t info = {};
  for (uint32_t i = 0; i < count; i++) {
    info = {};
    waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfds[i]), &info,
           WEXITED | WNOHANG | __WALL);
  }
  const auto status = static_cast<uint32_t>(info.si_status);
  return info.si_code == CLD_EXITED ? status << 8 : status;
}

// The last host calls an executor makes outside of the stub page.
[[noreturn]] void InterceptAndRun(native::Thread* thread, const native::Start& start) {
  if (g_untrusted) {
    const confine::Failure failure = confine::ConfineExecutor(g_confinement);
    if (failure.failed()) _exit(73);
  } else {
    // What EndWithSentry needs stays.
    close_range(0, native::kLifeFd - 1, 0);
    close_range(native::kOwnLifeFd + 1, confine::kWindowFirst - 1, 0);
    close_range(static_cast<unsigned>(confine::kWindowLast) + 1, ~0U, 0);
    if (native::EndWithSentry(g_space.environment) != 0) _exit(74);
    if (native::InstallTrap(Address(dd_stub_start), Address(dd_stub_end)) < 0) _exit(72);
  }
  native::RunOnOwnStack(thread, &start);
}

// In the forked child: never returns.
[[noreturn]] void BecomeExecutor(const Spawn& spawn) {
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  char name[17] = {};
  memcpy(name, spawn.request.name, sizeof spawn.request.name);
  prctl(PR_SET_NAME, name, 0, 0, 0);

  native::Environment& environment = g_space.environment;
  environment.text_begin = Address(__executable_start);
  environment.text_end = Address(etext);
  host::FillFacts(&environment);
  host::BuildOf(environment.build);
  environment.attach_call = confine::kNotifyCall;
  environment.fork_flags = confine::kCloneFlagsForkToLauncher;
  environment.vfork_flags = confine::kCloneFlagsVforkToLauncher;
  environment.sentry_pid = g_untrusted ? 0 : static_cast<uint32_t>(g_sentry_pid);
  environment.foreign_signals = native::kTransferSignals;
  environment.life_fd = g_untrusted ? -1 : native::kLifeFd;

  const int* fds = spawn.fds + spawn.request.reap_count;
  int files[kMaxFiles];
  // From the last on: a target may be the number that an earlier one came as.
  for (uint32_t i = spawn.request.file_count; i-- > 0;) {
    files[i] = confine::kWindowFirst + static_cast<int>(i);
    if (dup2(fds[2 + i], files[i]) < 0) Fail("dup2", errno);
  }
  native::Start start = {};
  start.space = &g_space;
  start.ring_fd = fds[0];
  start.doorbell_fd = fds[1];
  start.file_fds = files;
  start.file_count = spawn.request.file_count;
  start.step_count = spawn.request.step_count;
  long error = 0;
  native::Thread* thread = native::Prepare(start, &error);
  if (thread == nullptr) Fail("preparing the executor", static_cast<int>(-error));
  if (native::Attach(thread, ring::Attach::kExecutor, spawn.request.token) < 0) _exit(71);
  InterceptAndRun(thread, start);
}

// Serves requests until the sentry is gone.
int Serve(int listener) {
  if (const char* missing = host::MissingFeature()) Fail(missing, ENOTSUP);
  if (!SendHello(listener)) Fail("the control socket", errno);
  if (listener >= 0) close(listener);
  Spawn spawn;
  while (Receive(&spawn)) {
    const ring::LauncherRequest& request = spawn.request;
    const uint32_t status = Reap(spawn.fds, request.reap_count);
    if (request.token != 0) {
      const pid_t pid = Fork();
      if (pid == 0) BecomeExecutor(spawn);
      if (pid < 0) Send({request.token, static_cast<uint32_t>(errno), 0, 0, 0});
    }
    if (request.answer != 0) Send({0, 0, request.answer, status, 0});
    for (uint32_t i = 0; i < spawn.fd_count; i++) close(spawn.fds[i]);
  }
  return 0;
}

int RunTrusted() {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) Fail("prctl", errno);
  g_sentry_pid = getppid();
  const long listener = native::InstallAttachListener();
  if (listener < 0) Fail("seccomp user notification", static_cast<int>(-listener));
  return Serve(static_cast<int>(listener));
}

int Refuse(const confine::Failure& failure) {
  confine::ReportFailure(kControlFd, failure);
  return 71;
}

int RunPrepare() {
  confine::Failure failure = confine::ReadConfinement(kDescriptionFd, &g_confinement);
  if (!failure.failed()) failure = confine::PrepareNamespaces(g_confinement, kControlFd);
  return failure.failed() ? Refuse(failure) : 0;
}

int RunLaunch(char* program) {
  confine::Failure failure = confine::ReadConfinement(kDescriptionFd, &g_confinement);
  char stage[] = "confined";
  char* const argv[] = {program, stage, nullptr};
  if (!failure.failed()) {
    failure = confine::EnterUserNamespace(g_confinement, kUserNamespaceFd, argv);
  }
  return Refuse(failure);
}

int RunConfined() {
  confine::Failure failure = confine::ReadConfinement(kDescriptionFd, &g_confinement);
  if (!failure.failed()) {
    failure = confine::PlaceStub(&g_confinement, Address(dd_stub_start), Address(dd_stub_end));
  }
  if (!failure.failed()) {
    failure = confine::ConfineLauncher(g_confinement, kControlFd, kMountNamespaceFd, {});
  }
  if (failure.failed()) return Refuse(failure);
  g_untrusted = true;
  return Serve(-1);
}

int Main(int argc, char** argv) {
  const char* stage = argc == 2 ? argv[1] : "";
  if (strcmp(stage, "trusted") == 0) return RunTrusted();
  if (strcmp(stage, "ahead") == 0) return TranslateAhead();
  if (strcmp(stage, "prepare") == 0) return RunPrepare();
  if (strcmp(stage, "launch") == 0) return RunLaunch(argv[0]);
  if (strcmp(stage, "confined") == 0) return RunConfined();
  dprintf(2, "dd-guest is started by ddcli, not by hand\n");
  return 64;
}

}  // namespace
}  // namespace dd::launcher

int main(int argc, char** argv) { return dd::launcher::Main(argc, argv); }
