// A container's first process that makes and ends others on command. One command a line on standard
// input, NAME COUNT; when all of it is done and waited for it answers with "done NAME", or with
// what went wrong and how often.
//
//   churn           reads commands
//   churn exit      ends at once: what it executes
//   churn again     executes itself for ever
//
// "worker NAME" starts a child that does the same for ever, until it is killed; "reap" waits for it
// and for all it has left behind, and tells its wait status.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace {

constexpr int kThreads = 6;
constexpr int kTransfer = 200'000;

const char* g_program;

// Whether a child that was waited for ended with `status`.
bool Ended(pid_t child, int status) {
  int got = -1;
  return child > 0 && waitpid(child, &got, 0) == child && got == status;
}

[[noreturn]] void Execute(const char* path) {
  execl(path, path, "exit", nullptr);
  _exit(errno == ENOENT ? 2 : errno == EACCES ? 3 : 4);
}

bool Fork() {
  const pid_t child = fork();
  if (child == 0) _exit(7);
  return Ended(child, 7 << 8);
}

bool Exec() {
  const pid_t child = fork();
  if (child == 0) Execute(g_program);
  return Ended(child, 0);
}

bool Vfork() {
  const pid_t child = vfork();
  if (child == 0) Execute(g_program);
  return Ended(child, 0);
}

bool FailedExec() {
  const pid_t child = vfork();
  if (child == 0) Execute("/nowhere");
  if (!Ended(child, 2 << 8)) return false;
  const pid_t second = fork();
  if (second == 0) Execute("/");
  if (!Ended(second, 3 << 8)) return false;
  return execl("/etc/passwd", "passwd", nullptr) == -1 && errno == EACCES;
}

void* Count(void* counter) {
  __atomic_fetch_add(static_cast<int*>(counter), 1, __ATOMIC_SEQ_CST);
  return nullptr;
}

void* Wait(void*) {
  for (;;) pause();
}

bool Threads() {
  int counter = 0;
  pthread_t threads[kThreads];
  int made = 0;
  while (made < kThreads && pthread_create(&threads[made], nullptr, Count, &counter) == 0) made++;
  for (int i = 0; i < made; i++) pthread_join(threads[i], nullptr);
  return counter == kThreads;
}

void StartWaiters() {
  pthread_t thread;
  for (int i = 0; i < kThreads; i++) pthread_create(&thread, nullptr, Wait, nullptr);
}

// A process of several threads ends by its own word.
bool Crowd() {
  const pid_t child = fork();
  if (child == 0) {
    StartWaiters();
    _exit(5);
  }
  return Ended(child, 5 << 8);
}

// One thread of several executes a program.
bool CrowdExec() {
  const pid_t child = fork();
  if (child == 0) {
    StartWaiters();
    Execute(g_program);
  }
  return Ended(child, 0);
}

bool Pipe() {
  int ends[2];
  if (pipe(ends) != 0) return false;
  const pid_t child = fork();
  if (child == 0) {
    static char bytes[kTransfer];
    close(ends[0]);
    _exit(write(ends[1], bytes, sizeof bytes) == kTransfer ? 0 : 1);
  }
  close(ends[1]);
  static char bytes[4096];
  ssize_t sum = 0;
  for (ssize_t got; (got = read(ends[0], bytes, sizeof bytes)) > 0;) sum += got;
  close(ends[0]);
  return Ended(child, 0) && sum == kTransfer;
}

bool Killed() {
  const pid_t child = fork();
  if (child == 0) Wait(nullptr);
  kill(child, SIGKILL);
  return Ended(child, SIGKILL);
}

// The kernel kills it: a fault that nothing handles.
bool Faulted() {
  const pid_t child = fork();
  if (child == 0) {
    *static_cast<volatile char*>(nullptr) = 1;
    _exit(0);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGSEGV;
}

// Files are mapped by descriptors that are lent.
bool Mapped() {
  const pid_t child = fork();
  if (child == 0) {
    FILE* file = fopen("/proc/self/exe", "r");
    const bool mapped =
        file != nullptr &&
        mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, fileno(file), 0) != MAP_FAILED &&
        mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) !=
            MAP_FAILED;
    _exit(mapped ? 0 : 1);
  }
  return Ended(child, 0);
}

bool Spin() {
  for (;;) asm volatile("");
}

bool Park() {
  Wait(nullptr);
  return false;
}

// Calls that the sentry answers at once.
bool Call() {
  getppid();
  return true;
}

// A file that is used often enough to be lent.
bool Lease() {
  char bytes[512];
  const int fd = open(g_program, O_RDONLY);
  bool good = fd >= 0;
  for (int i = 0; i < 8; i++) good = good && pread(fd, bytes, sizeof bytes, 0) == sizeof bytes;
  return close(fd) == 0 && good;
}

bool Again() {
  execl(g_program, g_program, "again", nullptr);
  return false;
}

// Threads that wait for each other while others come and go.
bool Blocked() {
  StartWaiters();
  for (;;) Threads();
}

struct Command {
  std::string_view name;
  bool (*run)();
};

constexpr Command kCommands[] = {
    {"fork", Fork},
    {"exec", Exec},
    {"vfork", Vfork},
    {"failed-exec", FailedExec},
    {"threads", Threads},
    {"crowd", Crowd},
    {"crowd-exec", CrowdExec},
    {"pipe", Pipe},
    {"killed", Killed},
    {"faulted", Faulted},
    {"mapped", Mapped},
    {"spin", Spin},
    {"park", Park},
    {"call", Call},
    {"lease", Lease},
    {"again", Again},
    {"blocked", Blocked},
};

pid_t g_worker;

void StartWorker(const Command& command) {
  g_worker = fork();
  if (g_worker == 0) {
    for (;;) command.run();
  }
  printf("worker %s\n", command.name.data());
  fflush(stdout);
}

void Reap() {
  int worker = -1;
  int status = 0;
  for (pid_t pid; (pid = wait(&status)) > 0;) {
    if (pid == g_worker) worker = status;
  }
  printf("reaped %d\n", worker);
  fflush(stdout);
}

int Serve() {
  char name[32];
  int count = 0;
  while (scanf("%31s", name) == 1) {
    const bool worker = strcmp(name, "worker") == 0;
    if (strcmp(name, "reap") == 0) {
      Reap();
      continue;
    }
    if ((worker ? scanf("%31s", name) : scanf("%d", &count)) != 1) return 1;
    for (const Command& command : kCommands) {
      if (command.name != name) continue;
      if (worker) {
        StartWorker(command);
        continue;
      }
      int failed = 0;
      for (int i = 0; i < count; i++) failed += command.run() ? 0 : 1;
      if (failed == 0)
        printf("done %s\n", name);
      else
        printf("%s failed %d times\n", name, failed);
      fflush(stdout);
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  g_program = argv[0];
  if (argc == 1) return Serve();
  return strcmp(argv[1], "again") == 0 && !Again() ? 1 : 0;
}
