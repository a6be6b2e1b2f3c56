// setpgid(2), setsid(2), getpgid(2), killpg(2), orphaned process groups: credentials(7).
#include "case.h"

static void run(void) {
  // In a session of its own, whatever the program was started from.
  pid_t top = must(fork());
  if (top != 0) {
    cases_failed = status_of(top);
    equals("the session ends", 0, cases_failed);
    return;
  }
  works("setsid", setsid());
  equals("a session is its leader's pid", 0, getsid(0) - getpid());
  equals("so is its group", 0, getpgrp() - getpid());
  fails("setsid() of a leader", EPERM, setsid());
  fails("setpgid() of a session leader", EPERM, setpgid(0, 0));
  fails("getsid() of nobody", ESRCH, getsid(99999999));
  fails("getpgid() of nobody", ESRCH, getpgid(99999999));
  fails("setpgid() of nobody", ESRCH, setpgid(99999999, 0));
  fails("a negative group", EINVAL, setpgid(0, -1));
  fails("no terminal", ENXIO, open("/dev/tty", O_RDWR));

  int ends[2];
  must(pipe(ends));
  pid_t child = must(fork());
  if (child == 0) {
    char byte;
    close(ends[1]);
    must(read(ends[0], &byte, 1) == -1 ? -1 : 0);
    for (;;) pause();
  }
  check("a child is in our group", getpgid(child) == getpgrp());
  works("setpgid() of a child", setpgid(child, child));
  check("it leads a group", getpgid(child) == child);
  check("in our session", getsid(child) == getpid());
  fails("a group of another session", EPERM, setpgid(child, 99999999));
  pid_t second = must(fork());
  if (second == 0) {
    for (;;) pause();
  }
  works("a second child joins", setpgid(second, child));
  works("killpg", killpg(child, SIGTERM));
  equals("the first ends", 128 + SIGTERM, status_of(child));
  equals("the second ends", 128 + SIGTERM, status_of(second));
  fails("killpg() of no group", ESRCH, killpg(child, 0));
  fails("killpg() of a negative one", EINVAL, killpg(-1, 0));
  fails("kill() with a wrong signal", EINVAL, kill(getpid(), 65));
  works("kill(0, 0)", kill(0, 0));

  child = must(fork());
  if (child == 0) {
    setsid();
    _exit(getsid(0) == getpid() && getpgrp() == getpid() ? 0 : 1);
  }
  equals("a child's own session", 0, status_of(child));

  child = must(fork());
  if (child == 0) {
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0) _exit(1);
    self[length] = '\0';
    must(read(ends[0], self + 4095, 0));
    execl("/bin/sleep", "sleep", "1000", NULL);
    execl("/bin/busybox", "sleep", "1000", NULL);
    _exit(1);
  }
  for (int i = 0; i < 5000; i++) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/comm", child);
    if (strcmp(read_file(path), "session\n") != 0) break;
    sleep_ms(1);
  }
  fails("setpgid() of a child after its exec", EACCES, setpgid(child, child));
  kill(child, SIGKILL);
  status_of(child);

  // A group becomes orphaned when its leader's parent ends: its stopped members get SIGHUP and
  // SIGCONT.
  int told[2];
  must(pipe(told));
  pid_t middle = must(fork());
  if (middle == 0) {
    pid_t stopped = must(fork());
    if (stopped == 0) {
      setpgid(0, 0);
      sigset_t hangup;
      sigemptyset(&hangup);
      sigaddset(&hangup, SIGHUP);
      sigprocmask(SIG_BLOCK, &hangup, NULL);
      raise(SIGSTOP);
      int signo = sigwaitinfo(&hangup, NULL);
      must(write(told[1], &signo, sizeof signo));
      _exit(0);
    }
    int status;
    must(waitpid(stopped, &status, WUNTRACED));
    _exit(0);
  }
  status_of(middle);
  int signo = 0;
  close(told[1]);
  equals("a stopped orphan goes on", sizeof signo, read(told[0], &signo, sizeof signo));
  equals("with", SIGHUP, signo);
  _exit(cases_failed == 0 ? 0 : 1);
}
