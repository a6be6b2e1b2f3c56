// sigaction(2), sigprocmask(2), sigsuspend(2), sigtimedwait(2), sigqueue(3), signal(7).
#include <setjmp.h>
#include <sys/syscall.h>

#include "case.h"

static volatile int count, order[64], values[64], depth, depth_max, raises;
static volatile siginfo_t last;
static sigset_t mask_inside;

static void simple(int signo) { order[count++] = signo; }

static void detailed(int signo, siginfo_t* info, void* context) {
  (void)context;
  values[count] = info->si_value.sival_int;
  order[count++] = signo;
  *(siginfo_t*)&last = *info;
  sigprocmask(SIG_BLOCK, NULL, &mask_inside);
}

static void nested(int signo) {
  depth++;
  if (depth > depth_max) depth_max = depth;
  if (raises++ < 3) raise(signo);
  depth--;
}

static void handle(int signo, int flags) {
  struct sigaction action = {.sa_sigaction = detailed, .sa_flags = SA_SIGINFO | flags};
  must(sigaction(signo, &action, NULL));
}

static sigset_t set_of(int signo) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signo);
  return set;
}

static void handlers(void) {
  struct sigaction action = {.sa_handler = simple}, old;
  works("sigaction", sigaction(SIGUSR1, &action, NULL));
  works("raise", raise(SIGUSR1));
  equals("its handler ran", 1, count);
  must(sigaction(SIGUSR1, NULL, &old));
  check("sigaction() tells the handler", old.sa_handler == simple);
  fails("SIGKILL cannot be handled", EINVAL, sigaction(SIGKILL, &action, NULL));
  fails("nor SIGSTOP", EINVAL, sigaction(SIGSTOP, &action, NULL));
  fails("no such signal", EINVAL, sigaction(65, &action, NULL));
  works("but SIGKILL can be asked for", sigaction(SIGKILL, NULL, &old));

  action.sa_flags = SA_RESETHAND;
  must(sigaction(SIGUSR2, &action, NULL));
  raise(SIGUSR2);
  must(sigaction(SIGUSR2, NULL, &old));
  check("SA_RESETHAND", old.sa_handler == SIG_DFL);

  action = (struct sigaction){.sa_handler = nested};
  must(sigaction(SIGUSR1, &action, NULL));
  raise(SIGUSR1);
  equals("a signal is blocked in its handler", 1, depth_max);
  depth_max = raises = 0;
  action.sa_flags = SA_NODEFER;
  must(sigaction(SIGUSR1, &action, NULL));
  raise(SIGUSR1);
  equals("SA_NODEFER", 4, depth_max);

  handle(SIGUSR1, 0);
  struct sigaction wide = {.sa_sigaction = detailed, .sa_flags = SA_SIGINFO};
  sigaddset(&wide.sa_mask, SIGTERM);
  must(sigaction(SIGUSR1, &wide, NULL));
  raise(SIGUSR1);
  check("in a handler its signal and sa_mask are blocked",
        sigismember(&mask_inside, SIGUSR1) && sigismember(&mask_inside, SIGTERM));
  sigset_t now;
  sigprocmask(SIG_BLOCK, NULL, &now);
  check("and afterwards not", !sigismember(&now, SIGUSR1) && !sigismember(&now, SIGTERM));
}

static void information(void) {
  handle(SIGUSR1, 0);
  kill(getpid(), SIGUSR1);
  equals("kill: si_code", SI_USER, last.si_code);
  check("kill: sender", last.si_pid == getpid() && last.si_uid == getuid());
  raise(SIGUSR1);
  equals("raise: si_code", SI_TKILL, last.si_code);
  union sigval value = {.sival_int = 1234};
  sigqueue(getpid(), SIGUSR1, value);
  equals("sigqueue: si_code", SI_QUEUE, last.si_code);
  equals("sigqueue: value", 1234, last.si_value.sival_int);
  pid_t pid = must(fork());
  if (pid == 0) {
    kill(getppid(), SIGUSR1);
    _exit(0);
  }
  status_of(pid);
  check("from a child", last.si_pid == pid && last.si_code == SI_USER);
  siginfo_t forged = {.si_signo = SIGUSR1, .si_code = SI_USER};
  pid_t parent = getpid();
  pid = must(fork());
  if (pid == 0) {
    fails("a forged kill() of another", EPERM,
          syscall(SYS_rt_sigqueueinfo, parent, SIGUSR1, &forged));
    _exit(cases_failed == 0 ? 0 : 1);
  }
  equals("is refused", 0, status_of(pid));
  fails("sigqueue() of nobody", ESRCH, sigqueue(99999999, SIGUSR1, value));
  works("tgkill", syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1));
  pid = must(fork());
  if (pid == 0) {
    fails("tgkill() of a wrong group", ESRCH, syscall(SYS_tgkill, getppid(), getpid(), SIGUSR1));
    _exit(cases_failed == 0 ? 0 : 1);
  }
  equals("in a child", 0, status_of(pid));
}

static void queues(void) {
  int first = SIGRTMIN, second = SIGRTMIN + 1;
  sigset_t set = set_of(first), pending;
  sigaddset(&set, second);
  sigaddset(&set, SIGUSR1);
  handle(first, 0);
  handle(second, 0);
  handle(SIGUSR1, 0);
  must(sigprocmask(SIG_BLOCK, &set, NULL));
  count = 0;
  union sigval value;
  for (int i = 0; i < 3; i++) {
    value.sival_int = 20 + i;
    sigqueue(getpid(), second, value);
  }
  for (int i = 0; i < 3; i++) {
    value.sival_int = 10 + i;
    sigqueue(getpid(), first, value);
  }
  raise(SIGUSR1);
  raise(SIGUSR1);
  must(sigpending(&pending));
  check("all are pending", sigismember(&pending, first) && sigismember(&pending, second) &&
                               sigismember(&pending, SIGUSR1));
  equals("none is delivered", 0, count);

  siginfo_t info;
  sigset_t one = set_of(first);
  equals("sigwaitinfo", first, sigwaitinfo(&one, &info));
  equals("takes the first of its queue", 10, info.si_value.sival_int);
  struct timespec none = {0, 0};
  sigset_t other = set_of(SIGUSR2);
  fails("sigtimedwait() of what is not there", EAGAIN, sigtimedwait(&other, &info, &none));
  must(sigprocmask(SIG_UNBLOCK, &set, NULL));
  equals("standard signals do not queue, real-time ones do", 6, count);
  int sum = 0;
  for (int i = 0; i < count; i++) sum = sum * 2 + (order[i] == second);
  say("values: %d %d %d %d %d %d", values[0], values[1], values[2], values[3], values[4],
      values[5]);

  must(sigprocmask(SIG_BLOCK, &one, NULL));
  pid_t pid = must(fork());
  if (pid == 0) {
    sleep_ms(30);
    value.sival_int = 5;
    sigqueue(getppid(), first, value);
    _exit(0);
  }
  equals("sigwaitinfo() waits", first, sigwaitinfo(&one, &info));
  equals("for a value", 5, info.si_value.sival_int);
  status_of(pid);
  must(fork() == 0 ? (sigpending(&pending), _exit(sigisemptyset(&pending) ? 0 : 1), 0) : 0);
  equals("a child has none pending", 0, status_of(-1));
  must(sigprocmask(SIG_UNBLOCK, &one, NULL));
}

static void suspended(void) {
  sigset_t set = set_of(SIGUSR1), empty, now;
  sigemptyset(&empty);
  handle(SIGUSR1, 0);
  must(sigprocmask(SIG_BLOCK, &set, NULL));
  raise(SIGUSR1);
  count = 0;
  fails("sigsuspend", EINTR, sigsuspend(&empty));
  equals("its handler ran", 1, count);
  sigprocmask(SIG_BLOCK, NULL, &now);
  check("the mask is back", sigismember(&now, SIGUSR1));
  must(sigprocmask(SIG_UNBLOCK, &set, NULL));
  fails("sigprocmask() how?", EINVAL, sigprocmask(77, &set, NULL));
  sigset_t all;
  sigfillset(&all);
  must(sigprocmask(SIG_SETMASK, &all, NULL));
  sigprocmask(SIG_BLOCK, NULL, &now);
  check("SIGKILL and SIGSTOP are never blocked",
        !sigismember(&now, SIGKILL) && !sigismember(&now, SIGSTOP));
  must(sigprocmask(SIG_SETMASK, &empty, NULL));

  pid_t pid = must(fork());
  if (pid == 0) {
    sigprocmask(SIG_SETMASK, &all, NULL);
    raise(SIGSEGV);
    *(volatile int*)8 = 1;  // a blocked fault cannot wait
    _exit(0);
  }
  equals("a blocked fault ends", 128 + SIGSEGV, status_of(pid));
}

static void defaults(void) {
  static const int ending[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGILL,  SIGTRAP, SIGBUS,
                               SIGFPE,  SIGKILL, SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE,
                               SIGALRM, SIGTERM, SIGXCPU, SIGSYS,  SIGIO,   40};
  for (size_t i = 0; i < sizeof ending / sizeof *ending; i++) {
    pid_t pid = must(fork());
    if (pid == 0) {
      signal(ending[i], SIG_DFL);
      kill(getpid(), ending[i]);
      for (;;) pause();
    }
    char line[64];
    snprintf(line, sizeof line, "the default of %d", ending[i]);
    equals(line, 128 + ending[i], status_of(pid));
  }
  static const int harmless[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT};
  for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++) {
    works("a signal that is ignored by default", kill(getpid(), harmless[i]));
  }
}

static sigjmp_buf out;
static void jump(int signo) { siglongjmp(out, signo); }

static void jumps(void) {
  struct sigaction action = {.sa_handler = jump};
  must(sigaction(SIGUSR1, &action, NULL));
  volatile int times = 0;
  for (int i = 0; i < 3; i++) {
    if (sigsetjmp(out, 1) == 0) {
      raise(SIGUSR1);
    } else {
      times++;
    }
  }
  equals("siglongjmp() out of a handler", 3, times);
}

// pidfd_send_signal(2), also by a directory of /proc.
static void by_descriptor(void) {
  char name[32];
  pid_t pid = must(fork());
  if (pid == 0) {
    for (;;) pause();
  }
  snprintf(name, sizeof name, "/proc/%d", pid);
  int directory = must(open(name, O_RDONLY | O_DIRECTORY));
  int path = must(open(name, O_PATH));
  int tasks = must(open("/proc/self/task", O_RDONLY | O_DIRECTORY));
  fails("pidfd_send_signal() by a path", EBADF, syscall(SYS_pidfd_send_signal, path, 0, NULL, 0));
  fails("by another directory of /proc", EBADF, syscall(SYS_pidfd_send_signal, tasks, 0, NULL, 0));
  fails("with flags", EINVAL, syscall(SYS_pidfd_send_signal, directory, 0, NULL, 1u << 31));
  works("by /proc/PID", syscall(SYS_pidfd_send_signal, directory, SIGTERM, NULL, 0));
  equals("which ends it", 128 + SIGTERM, status_of(pid));
  fails("who is gone by then", ESRCH, syscall(SYS_pidfd_send_signal, directory, SIGTERM, NULL, 0));
}

static void run(void) {
  by_descriptor();
  handlers();
  information();
  queues();
  suspended();
  defaults();
  jumps();
}
