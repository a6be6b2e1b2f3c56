// Which interrupted calls are restarted and which fail with EINTR: signal(7), "Interruption of
// system calls".
#include <mqueue.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/socket.h>

#include "case.h"

static int reader, writer, pair[2];
static volatile int signals;

static void on_signal(int signo) { signals += signo != 0; }

static long call_read(void) {
  char byte;
  return read(reader, &byte, 1);
}
static long call_recv(void) {
  char byte;
  return recv(pair[0], &byte, 1, 0);
}
static long call_wait(void) { return waitpid(-1, NULL, 0); }
static long call_lock(void) {
  int fd = open("lock", O_RDWR);
  long result = flock(fd, LOCK_EX);
  close(fd);
  return result;
}
static long call_fcntl(void) {
  int fd = open("lock", O_RDWR);
  struct flock lock = {.l_type = F_WRLCK};
  long result = fcntl(fd, F_SETLKW, &lock);
  close(fd);
  return result;
}
static long call_open(void) {
  long fd = open("fifo", O_RDONLY);
  if (fd >= 0) close((int)fd);
  return fd >= 0 ? 0 : -1;
}
static long call_poll(void) {
  struct pollfd poll_fd = {reader, POLLIN, 0};
  return poll(&poll_fd, 1, 5000);
}
static long call_select(void) {
  fd_set in;
  FD_ZERO(&in);
  FD_SET(reader, &in);
  struct timeval time = {5, 0};
  return select(reader + 1, &in, NULL, NULL, &time);
}
static long call_epoll(void) {
  struct epoll_event event = {.events = EPOLLIN};
  int poller = epoll_create1(0);
  epoll_ctl(poller, EPOLL_CTL_ADD, reader, &event);
  long result = epoll_wait(poller, &event, 1, 5000);
  int error = errno;
  close(poller);
  errno = error;
  return result;
}
static long call_pause(void) { return pause(); }
static long call_nanosleep(void) {
  struct timespec time = {5, 0};
  return nanosleep(&time, &time);
}
static long call_sigtimedwait(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  struct timespec time = {5, 0};
  return sigtimedwait(&set, NULL, &time);
}
static long call_recv_timeout(void) {
  struct timeval time = {5, 0};
  setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  long result = call_recv();
  int error = errno;
  time.tv_sec = 0;
  setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  errno = error;
  return result;
}

static const struct {
  const char* name;
  long (*call)(void);
  int restarts;
} CALLS[] = {
    {"read() of a pipe", call_read, 1},
    {"recv", call_recv, 1},
    {"waitpid", call_wait, 1},
    {"flock", call_lock, 1},
    {"fcntl(F_SETLKW)", call_fcntl, 1},
    {"open() of a fifo", call_open, 1},
    {"poll", call_poll, 0},
    {"select", call_select, 0},
    {"epoll_wait", call_epoll, 0},
    {"pause", call_pause, 0},
    {"nanosleep", call_nanosleep, 0},
    {"sigtimedwait", call_sigtimedwait, 0},
    {"recv() with a timeout", call_recv_timeout, 0},
};

// A helper that holds what the call waits for. It interrupts its parent once and then makes the
// call's end come true, or again and again until it is stopped.
static pid_t disturb(int then_finish, int opens) {
  pid_t parent = getpid();
  int held = -1;
  int ready[2];
  must(pipe(ready));
  pid_t pid = must(fork());
  if (pid == 0) {
    held = must(open("lock", O_RDWR));
    must(flock(held, LOCK_EX));
    struct flock lock = {.l_type = F_WRLCK};
    must(fcntl(held, F_SETLK, &lock));
    must(write(ready[1], "r", 1));
    while (!then_finish && getppid() == parent) {
      sleep_ms(60);
      kill(parent, SIGUSR1);
    }
    sleep_ms(60);
    kill(parent, SIGUSR1);
    sleep_ms(60);
    must(write(writer, "x", 1));
    must(write(pair[1], "x", 1));
    int fd;
    while ((fd = open("fifo", O_WRONLY | O_NONBLOCK)) == -1 && opens) sleep_ms(1);
    sleep_ms(30);
    close(fd);
    _exit(0);
  }
  char byte;
  must(read(ready[0], &byte, 1));
  close(ready[0]);
  close(ready[1]);
  return pid;
}

static void drain(void) {
  char text[64];
  struct pollfd polls[2] = {{reader, POLLIN, 0}, {pair[0], POLLIN, 0}};
  poll(polls, 2, 0);
  if (polls[0].revents) read(reader, text, sizeof text);
  if (polls[1].revents) read(pair[0], text, sizeof text);
}

static void run(void) {
  int ends[2];
  must(pipe(ends));
  reader = ends[0];
  writer = ends[1];
  must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  write_file("lock", "", 0600);
  must(mkfifo("fifo", 0600));
  for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++) {
    for (int restart = 0; restart < 2; restart++) {
      struct sigaction action = {.sa_handler = on_signal, .sa_flags = restart ? SA_RESTART : 0};
      must(sigaction(SIGUSR1, &action, NULL));
      signals = 0;
      int finishes = restart && CALLS[i].restarts;
      pid_t pid = disturb(finishes, CALLS[i].call == call_open);
      errno = 0;
      long result = CALLS[i].call();
      int error = errno;
      char name[128];
      snprintf(name, sizeof name, "%s, %s SA_RESTART", CALLS[i].name, restart ? "with" : "without");
      if (finishes) {
        check(name, result >= 0);
      } else {
        check(name, result == -1 && error == EINTR);
        must(kill(pid, SIGKILL));
      }
      check("  the handler ran", finishes ? signals == 1 : signals >= 1);
      status_of(pid);
      drain();
    }
  }
  // A stop and a continue are no interruption, but for the calls that signal(7) names.
  pid_t parent = getpid();
  pid_t pid = must(fork());
  if (pid == 0) {
    sleep_ms(50);
    kill(parent, SIGSTOP);
    sleep_ms(50);
    kill(parent, SIGCONT);
    sleep_ms(50);
    must(write(writer, "x", 1));
    _exit(0);
  }
  equals("read() over a stop", 1, call_read());
  status_of(pid);
  struct timespec left = {0, 0}, asked = {1000, 0};
  struct sigaction action = {.sa_handler = on_signal};
  must(sigaction(SIGUSR1, &action, NULL));
  pid = start_signals(SIGUSR1);
  fails("nanosleep() tells", EINTR, nanosleep(&asked, &left));
  check("what is left", left.tv_sec > 0 && left.tv_sec < 1000);
  stop_signals(pid);
}
