// Fewer rights for the whole process. landlock_restrict_self(2), no_new_privs and capabilities
// belong to a thread; Node has started threads of its own before any of our code runs, and reads
// files on them.
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <vector>

#include "ring/addon.h"

namespace dd {
namespace {

// The C library's own signal for changing the ids of all threads: no thread can block it, because
// sigfillset(3) leaves it out. It is borrowed for as long as this takes.
constexpr int kSignal = 33;
constexpr size_t kSigsetBytes = 8;
// Each pass finds the threads that were started during the one before by a thread not yet
// restricted.
constexpr int kPassesMax = 16;
constexpr size_t kThreadsMax = 4096;
constexpr time_t kAnswerSecondsMax = 30;

// The kernel's struct sigaction; sigaction(3) refuses the signal.
struct KernelAction {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)();
  uint64_t mask;
};

#if defined(__x86_64__)
constexpr unsigned long kFlags = SA_RESTART | SA_ONSTACK | 0x04000000;  // SA_RESTORER
extern "C" [[gnu::visibility("hidden")]] void dd_restrict_restorer();
asm(".text\n"
    ".hidden dd_restrict_restorer\n"
    ".type dd_restrict_restorer, @function\n"
    "dd_restrict_restorer:\n"
    "  mov $15, %eax\n"
    "  syscall\n");
constexpr auto kRestorer = dd_restrict_restorer;
#else
constexpr unsigned long kFlags = SA_RESTART | SA_ONSTACK;
constexpr void (*kRestorer)() = nullptr;
#endif

int ruleset = -1;
uint32_t kept_capabilities = 0;
std::atomic<uint32_t> answered{0};
std::atomic<int> answer{0};

// 0 or an errno.
int DropCapabilities() {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &header, sets) != 0) return errno;
  // No kept capability is beyond the first 32; what is not held cannot be kept.
  const uint32_t kept = sets[0].permitted & kept_capabilities;
  sets[0] = {.effective = kept, .permitted = kept, .inheritable = 0};
  sets[1] = {};
  return syscall(SYS_capset, &header, sets) == 0 ? 0 : errno;
}

// On the thread that is to be restricted. 0 or an errno.
int RestrictThread() {
  if (const int error = DropCapabilities(); error != 0) return error;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  return syscall(SYS_landlock_restrict_self, ruleset, 0) == 0 ? 0 : errno;
}

void OnSignal(int /*signal*/) {
  const int saved = errno;
  answer.store(RestrictThread());
  answered.store(1);
  syscall(SYS_futex, &answered, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  errno = saved;
}

// Seconds of a clock that nobody sets.
time_t Now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

// 0, ESRCH when the thread has ended, or the errno of what failed there.
int RestrictOther(pid_t tid) {
  answered.store(0);
  if (syscall(SYS_tgkill, getpid(), tid, kSignal) != 0) return errno;
  const time_t deadline = Now() + kAnswerSecondsMax;
  while (answered.load() == 0) {
    if (syscall(SYS_tgkill, getpid(), tid, 0) != 0) return errno;
    if (Now() >= deadline) return ETIMEDOUT;
    // Other signals may end the wait at any time.
    const timespec timeout = {.tv_sec = 1, .tv_nsec = 0};
    syscall(SYS_futex, &answered, FUTEX_WAIT_PRIVATE, 0, &timeout, nullptr, 0);
  }
  return answer.load();
}

// Restricts every thread but the calling one that `done` does not list. 0 or an errno.
int Pass(DIR* tasks, std::vector<pid_t>* done, bool* found) {
  *found = false;
  rewinddir(tasks);
  while (const dirent* entry = readdir(tasks)) {
    const auto tid = static_cast<pid_t>(strtol(entry->d_name, nullptr, 10));
    if (tid <= 0 || std::find(done->begin(), done->end(), tid) != done->end()) continue;
    if (done->size() == kThreadsMax) return EAGAIN;
    *found = true;
    done->push_back(tid);
    const int error = RestrictOther(tid);
    if (error != 0 && error != ESRCH) return error;
  }
  return 0;
}

// 0 or an errno; then some threads may be restricted already.
int RestrictAll(DIR* tasks, std::vector<pid_t>* done) {
  const int error = RestrictThread();
  if (error != 0) return error;
  done->push_back(static_cast<pid_t>(syscall(SYS_gettid)));
  bool found = true;
  for (int pass = 0; found && pass < kPassesMax; ++pass) {
    const int failed = Pass(tasks, done, &found);
    if (failed != 0) return failed;
  }
  return found ? EAGAIN : 0;
}

// restrictThreads(rulesetFd, keep) -> how many threads were restricted, or a negative errno.
napi_value RestrictThreads(napi_env env, napi_callback_info info) {
  napi_value values[2];
  size_t count = 2;
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  if (napi_get_value_int32(env, values[0], &ruleset) != napi_ok ||
      napi_get_value_uint32(env, values[1], &kept_capabilities) != napi_ok) {
    return Throw(env, "Expected a descriptor and capabilities");
  }
  // Opened before the domain could forbid it.
  DIR* const tasks = opendir("/proc/self/task");
  int error = tasks == nullptr ? errno : 0;
  std::vector<pid_t> done;
  const KernelAction action = {
      .handler = OnSignal, .flags = kFlags, .restorer = kRestorer, .mask = 0};
  KernelAction before{};
  if (error == 0 && syscall(SYS_rt_sigaction, kSignal, &action, &before, kSigsetBytes) != 0) {
    error = errno;
  }
  if (error == 0) {
    error = RestrictAll(tasks, &done);
    // A thread that is late would hand its signal to the C library, which has no use for it and
    // faults.
    if (error != ETIMEDOUT) syscall(SYS_rt_sigaction, kSignal, &before, nullptr, kSigsetBytes);
  }
  if (tasks != nullptr) closedir(tasks);
  napi_value result;
  napi_create_int64(env, error == 0 ? static_cast<int64_t>(done.size()) : -error, &result);
  return result;
}

}  // namespace

void RegisterRestrictThreads(napi_env env, napi_value exports) {
  Export(env, exports, "restrictThreads", RestrictThreads);
}

}  // namespace dd
