// eventfd(2), timerfd_create(2), signalfd(2), inotify(7): descriptors for events.
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "case.h"

static int ready(int fd) {
  struct pollfd poll_fd = {fd, POLLIN | POLLOUT, 0};
  poll(&poll_fd, 1, 0);
  return poll_fd.revents;
}

static void counters(void) {
  uint64_t value = 0;
  int fd = works("eventfd", eventfd(3, EFD_NONBLOCK));
  equals("ready for both", POLLIN | POLLOUT, ready(fd));
  equals("read", 8, read(fd, &value, sizeof value));
  equals("its value", 3, value);
  fails("read() of zero", EAGAIN, read(fd, &value, sizeof value));
  equals("not readable", POLLOUT, ready(fd));
  value = 5;
  must(write(fd, &value, sizeof value));
  must(write(fd, &value, sizeof value));
  must(read(fd, &value, sizeof value));
  equals("writes add", 10, value);
  fails("a short read", EINVAL, read(fd, &value, 4));
  value = UINT64_MAX;
  fails("a write of the highest value", EINVAL, write(fd, &value, sizeof value));
  value = UINT64_MAX - 1;
  equals("a write of one less", 8, write(fd, &value, sizeof value));
  equals("not writable", POLLIN, ready(fd));
  value = 1;
  fails("a write that overflows", EAGAIN, write(fd, &value, sizeof value));
  fails("eventfd() with a wrong flag", EINVAL, eventfd(0, 4));
  fd = works("EFD_SEMAPHORE", eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
  must(read(fd, &value, sizeof value));
  equals("counts down by one", 1, value);
  must(read(fd, &value, sizeof value));
  fails("to zero", EAGAIN, read(fd, &value, sizeof value));

  fd = must(eventfd(0, 0));
  pid_t pid = must(fork());
  if (pid == 0) {
    sleep_ms(40);
    value = 9;
    must(write(fd, &value, sizeof value));
    _exit(0);
  }
  must(read(fd, &value, sizeof value));
  equals("read() waits for another process", 9, value);
  status_of(pid);
}

static void timers(void) {
  uint64_t expired = 0;
  int fd = works("timerfd_create", timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  fails("timerfd_create() of a wrong clock", EINVAL, timerfd_create(99, 0));
  fails("read() of a disarmed timer", EAGAIN, read(fd, &expired, sizeof expired));
  struct itimerspec setting = {{0, 0}, {1000, 0}}, left;
  works("timerfd_settime", timerfd_settime(fd, 0, &setting, NULL));
  works("timerfd_gettime", timerfd_gettime(fd, &left));
  check("time is left", left.it_value.tv_sec > 0 && left.it_value.tv_sec <= 1000);
  setting.it_value = (struct timespec){0, 20000000};
  must(timerfd_settime(fd, 0, &setting, NULL));
  struct pollfd poll_fd = {fd, POLLIN, 0};
  equals("poll() wakes", 1, poll(&poll_fd, 1, 5000));
  equals("read", 8, read(fd, &expired, sizeof expired));
  equals("it expired once", 1, expired);
  setting.it_interval.tv_nsec = 5000000;
  must(timerfd_settime(fd, 0, &setting, NULL));
  sleep_ms(60);
  must(read(fd, &expired, sizeof expired));
  check("an interval expires repeatedly", expired >= 5);
  setting = (struct itimerspec){{0, 0}, {0, 0}};
  must(timerfd_settime(fd, 0, &setting, NULL));
  fails("disarmed", EAGAIN, read(fd, &expired, sizeof expired));
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  setting.it_value = (struct timespec){now.tv_sec - 1, 0};
  must(timerfd_settime(fd, TFD_TIMER_ABSTIME, &setting, NULL));
  equals("a time in the past expires at once", 8, read(fd, &expired, sizeof expired));
  setting.it_value.tv_nsec = 1000000000;
  fails("a wrong time", EINVAL, timerfd_settime(fd, 0, &setting, NULL));
  fails("timerfd_settime() of something else", EINVAL, timerfd_settime(0, 0, &left, NULL));
}

static void signals(void) {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR1);
  sigaddset(&mask, SIGCHLD);
  sigprocmask(SIG_BLOCK, &mask, NULL);
  int fd = works("signalfd", signalfd(-1, &mask, SFD_NONBLOCK));
  struct signalfd_siginfo info;
  fails("no signal", EAGAIN, read(fd, &info, sizeof info));
  union sigval value = {.sival_int = 77};
  sigqueue(getpid(), SIGUSR1, value);
  equals("it is readable", POLLIN, ready(fd) & POLLIN);
  equals("read", sizeof info, read(fd, &info, sizeof info));
  equals("its number", SIGUSR1, info.ssi_signo);
  equals("its value", 77, info.ssi_int);
  check("its sender", info.ssi_pid == (uint32_t)getpid());
  pid_t pid = must(fork());
  if (pid == 0) _exit(3);
  struct pollfd poll_fd = {fd, POLLIN, 0};
  equals("poll() for a child", 1, poll(&poll_fd, 1, 5000));
  must(read(fd, &info, sizeof info));
  equals("SIGCHLD", SIGCHLD, info.ssi_signo);
  equals("its status", 3, info.ssi_status);
  check("its child", info.ssi_pid == (uint32_t)pid);
  status_of(pid);
  fails("a short read", EINVAL, read(fd, &info, 10));
}

static void notifications(void) {
  char buffer[4096];
  int fd = works("inotify_init1", inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  fails("inotify_add_watch() of nothing", ENOENT, inotify_add_watch(fd, "missing", IN_ALL_EVENTS));
  fails("inotify_add_watch() of no events", EINVAL, inotify_add_watch(fd, ".", 0));
  fails("inotify_rm_watch() of a stranger", EINVAL, inotify_rm_watch(fd, 99));
  fails("inotify_init1() with a wrong flag", EINVAL, inotify_init1(1));
  must(mkdir("watched", 0755));
  int watch = works("inotify_add_watch", inotify_add_watch(fd, "watched", IN_CREATE | IN_DELETE));
  fails("nothing happened", EAGAIN, read(fd, buffer, sizeof buffer));
  write_file("watched/new", "", 0600);
  must(unlink("watched/new"));
  ssize_t length = read(fd, buffer, sizeof buffer);
  check("events came", length > 0);
  for (ssize_t at = 0; at < length;) {
    struct inotify_event* event = (struct inotify_event*)(buffer + at);
    say("event %s of %s",
        event->mask == IN_CREATE   ? "IN_CREATE"
        : event->mask == IN_DELETE ? "IN_DELETE"
                                   : "other",
        event->name);
    at += (ssize_t)sizeof *event + event->len;
  }
  works("inotify_rm_watch", inotify_rm_watch(fd, watch));
}

static void run(void) {
  counters();
  timers();
  in_child("signals", signals);
  notifications();
}
