// Controlling terminals and job control: setsid(2), ioctl_tty(2), tcsetpgrp(3), credentials(7).
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "case.h"

static int master;
static char name[128];

static volatile int got[65];
static void count(int signo) { got[signo]++; }

static void handle(int signo, void (*handler)(int)) {
  struct sigaction action = {.sa_handler = handler};
  sigaction(signo, &action, NULL);
}

static void wait_for(volatile int* word) {
  for (int i = 0; i < 5000 && *word == 0; i++) sleep_ms(1);
}

static void drain(void) {
  char text[256];
  struct pollfd poll_fd = {master, POLLIN, 0};
  while (poll(&poll_fd, 1, 50) == 1 && read(master, text, sizeof text) > 0) {
  }
}

// A job in a group of its own. It has default actions when this returns.
static pid_t job(void (*body)(void)) {
  int ready[2];
  must(pipe(ready));
  pid_t pid = must(fork());
  if (pid == 0) {
    close(master);
    close(ready[0]);
    setpgid(0, 0);
    static const int reset[] = {SIGTTOU, SIGINT, SIGQUIT, SIGTSTP, SIGHUP, SIGWINCH};
    for (size_t i = 0; i < sizeof reset / sizeof *reset; i++) handle(reset[i], SIG_DFL);
    close(ready[1]);
    body();
    _exit(0);
  }
  setpgid(pid, pid);
  char end;
  close(ready[1]);
  must(read(ready[0], &end, 1));
  close(ready[0]);
  return pid;
}

static void reads(void) {
  char text[16];
  int fd = open(name, O_RDWR);
  ssize_t length = read(fd, text, sizeof text);
  _exit(length == 3 ? 3 : 1);
}

static void sets_modes(void) {
  struct termios mode;
  int fd = open(name, O_RDWR);
  tcgetattr(fd, &mode);
  tcsetattr(fd, TCSANOW, &mode);
  _exit(4);
}

static void writes(void) {
  int fd = open(name, O_RDWR);
  must(write(fd, "background\n", 11));
  _exit(5);
}

static void waits(void) {
  for (;;) pause();
}

static void ignores(void) {
  char text[16];
  signal(SIGTTIN, SIG_IGN);
  int fd = open(name, O_RDWR);
  _exit(read(fd, text, sizeof text) == -1 && errno == EIO ? 6 : 1);
}

static void session(void) {
  int status = 0;
  must(setsid());
  int tty = must(open(name, O_RDWR | O_NOCTTY));
  fails("O_NOCTTY: no terminal yet", ENXIO, open("/dev/tty", O_RDWR));
  fails("tcgetpgrp() of a stranger", ENOTTY, tcgetpgrp(tty));
  works("TIOCSCTTY", ioctl(tty, TIOCSCTTY, 0));
  int again = works("/dev/tty", open("/dev/tty", O_RDWR));
  close(again);
  check("tcgetsid", tcgetsid(tty) == getpid());
  check("we are in the foreground", tcgetpgrp(tty) == getpgrp());

  handle(SIGINT, count);
  handle(SIGQUIT, count);
  handle(SIGWINCH, count);
  handle(SIGTSTP, count);
  must(write(master, "\003", 1));
  wait_for(&got[SIGINT]);
  equals("^C is SIGINT", 1, got[SIGINT]);
  must(write(master, "\034", 1));
  wait_for(&got[SIGQUIT]);
  equals("^\\ is SIGQUIT", 1, got[SIGQUIT]);
  must(write(master, "\032", 1));
  wait_for(&got[SIGTSTP]);
  equals("^Z is SIGTSTP", 1, got[SIGTSTP]);
  struct winsize size = {30, 100, 0, 0};
  must(ioctl(master, TIOCSWINSZ, &size));
  wait_for(&got[SIGWINCH]);
  equals("a new size is SIGWINCH", 1, got[SIGWINCH]);
  must(ioctl(master, TIOCSWINSZ, &size));
  sleep_ms(20);
  equals("the same size is not", 1, got[SIGWINCH]);
  drain();

  handle(SIGTTOU, SIG_IGN);
  pid_t pid = job(waits);
  works("tcsetpgrp", tcsetpgrp(tty, pid));
  check("the job is in the foreground", tcgetpgrp(tty) == pid);
  must(write(master, "\032", 1));
  must(waitpid(pid, &status, WUNTRACED));
  check("^Z stops it", WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
  must(tcsetpgrp(tty, getpgrp()));
  kill(-pid, SIGCONT);
  must(waitpid(pid, &status, WCONTINUED));
  check("SIGCONT continues it", WIFCONTINUED(status));
  must(tcsetpgrp(tty, pid));
  must(write(master, "\003", 1));
  equals("^C ends it", 128 + SIGINT, status_of(pid));
  must(tcsetpgrp(tty, getpgrp()));
  drain();

  pid = job(reads);
  must(waitpid(pid, &status, WUNTRACED));
  check("reading in the background is SIGTTIN", WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN);
  must(tcsetpgrp(tty, pid));
  kill(-pid, SIGCONT);
  must(write(master, "ab\n", 3));
  equals("in the foreground it reads on", 3, status_of(pid));
  must(tcsetpgrp(tty, getpgrp()));
  drain();

  pid = job(ignores);
  equals("SIGTTIN ignored: EIO", 6, status_of(pid));
  pid = job(sets_modes);
  must(waitpid(pid, &status, WUNTRACED));
  check("setting modes there is SIGTTOU", WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
  kill(-pid, SIGKILL);
  status_of(pid);
  pid = job(writes);
  equals("writing there is allowed", 5, status_of(pid));
  struct termios mode;
  must(tcgetattr(tty, &mode));
  mode.c_lflag |= TOSTOP;
  must(tcsetattr(tty, TCSANOW, &mode));
  pid = job(writes);
  must(waitpid(pid, &status, WUNTRACED));
  check("unless TOSTOP", WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
  kill(-pid, SIGKILL);
  status_of(pid);
  drain();

  fails("tcsetpgrp() of no group", ESRCH, tcsetpgrp(tty, 99999999));
  pid = job(waits);
  must(tcsetpgrp(tty, pid));
  handle(SIGHUP, count);
  close(master);
  wait_for(&got[SIGHUP]);
  equals("closing the master is SIGHUP for the leader", 1, got[SIGHUP]);
  equals("the foreground is left alone while the leader lives", 0, kill(pid, 0));
  kill(pid, SIGKILL);
  status_of(pid);
  fails("the terminal is gone", ENXIO, open("/dev/tty", O_RDWR));
  _exit(cases_failed == 0 ? 0 : 1);
}

static void run(void) {
  must(master = posix_openpt(O_RDWR | O_NOCTTY));
  must(unlockpt(master));
  snprintf(name, sizeof name, "%s", ptsname(master));
  pid_t pid = must(fork());
  if (pid == 0) session();
  close(master);
  equals("the session ends", 0, status_of(pid));
}
