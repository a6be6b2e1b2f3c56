// poll(2), ppoll(2), select(2), pselect(2).
#include <poll.h>
#include <sys/select.h>
#include <sys/socket.h>

#include "case.h"

static volatile int signals;
static void on_signal(int signo) { signals += signo != 0; }

static void run(void) {
  int ends[2], pair[2];
  must(pipe(ends));
  must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  struct pollfd polls[3] = {{ends[0], POLLIN, 0}, {ends[1], POLLOUT, 0}, {-1, POLLIN, 0}};
  equals("an empty pipe: only writing", 1, poll(polls, 3, 0));
  equals("nothing to read", 0, polls[0].revents);
  equals("room to write", POLLOUT, polls[1].revents);
  equals("a negative descriptor is ignored", 0, polls[2].revents);
  must(write(ends[1], "x", 1));
  equals("a byte waits", 2, poll(polls, 2, 0));
  equals("POLLIN", POLLIN, polls[0].revents);
  close(ends[1]);
  equals("POLLHUP with data", 1, poll(polls, 1, 0));
  equals("both are told", POLLIN | POLLHUP, polls[0].revents);
  char byte;
  must(read(ends[0], &byte, 1));
  poll(polls, 1, 0);
  equals("POLLHUP alone", POLLHUP, polls[0].revents);
  polls[1].fd = 99;
  equals("a closed descriptor counts", 1, poll(polls + 1, 1, 0));
  equals("POLLNVAL", POLLNVAL, polls[1].revents);
  must(pipe(ends));
  close(ends[0]);
  polls[1].fd = ends[1];
  poll(polls + 1, 1, 0);
  equals("POLLERR of a pipe without reader", POLLOUT | POLLERR, polls[1].revents);
  close(ends[1]);

  long before = now_ms();
  equals("a timeout", 0, poll(NULL, 0, 50));
  check("took its time", now_ms() - before >= 49);
  fails("poll() of too many", EINVAL, poll(polls, 100000000, 0));
  fails("poll() of a bad address", EFAULT, poll((struct pollfd*)8, 1, 0));

  must(pipe(ends));
  pid_t pid = must(fork());
  if (pid == 0) {
    sleep_ms(50);
    must(write(ends[1], "x", 1));
    _exit(0);
  }
  polls[0] = (struct pollfd){ends[0], POLLIN, 0};
  equals("poll() wakes", 1, poll(polls, 1, -1));
  status_of(pid);

  polls[0] = (struct pollfd){pair[0], POLLIN | POLLOUT | POLLRDHUP, 0};
  poll(polls, 1, 0);
  equals("a socket", POLLOUT, polls[0].revents);
  must(shutdown(pair[1], SHUT_WR));
  poll(polls, 1, 0);
  equals("the other side sends no more", POLLIN | POLLOUT | POLLRDHUP, polls[0].revents);
  close(pair[1]);
  poll(polls, 1, 0);
  equals("the other side is closed", POLLIN | POLLOUT | POLLRDHUP | POLLHUP, polls[0].revents);
  int file = must(open("file", O_RDWR | O_CREAT, 0600));
  polls[0] = (struct pollfd){file, POLLIN | POLLOUT, 0};
  poll(polls, 1, 0);
  equals("a file is always ready", POLLIN | POLLOUT, polls[0].revents);

  fd_set in, out;
  FD_ZERO(&in);
  FD_ZERO(&out);
  FD_SET(ends[0], &in);
  FD_SET(ends[1], &out);
  int highest = ends[1] > ends[0] ? ends[1] : ends[0];
  struct timeval now = {0, 0};
  equals("select", 2, select(highest + 1, &in, &out, NULL, &now));
  check("both bits", FD_ISSET(ends[0], &in) && FD_ISSET(ends[1], &out));
  must(read(ends[0], &byte, 1));
  FD_SET(ends[0], &in);
  now.tv_usec = 30000;
  equals("select() timeout", 0, select(ends[0] + 1, &in, NULL, NULL, &now));
  check("clears the bits", !FD_ISSET(ends[0], &in));
  check("and counts the time down", now.tv_sec == 0 && now.tv_usec == 0);
  // Below 64: the kernel looks only at as many descriptors as the table has room for, and every
  // table has that room.
  FD_SET(60, &in);
  fails("select() of a closed descriptor", EBADF, select(61, &in, NULL, NULL, &now));
  fails("select() of a negative count", EINVAL, select(-1, NULL, NULL, NULL, &now));

  signal(SIGUSR1, on_signal);
  sigset_t blocked, open_mask;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  sigprocmask(SIG_BLOCK, &blocked, &open_mask);
  raise(SIGUSR1);
  struct timespec second = {1, 0};
  equals("blocked: no handler yet", 0, signals);
  fails("ppoll() opens the mask", EINTR, ppoll(NULL, 0, &second, &open_mask));
  equals("its handler ran", 1, signals);
  raise(SIGUSR1);
  fails("pselect() opens the mask", EINTR, pselect(0, NULL, NULL, NULL, &second, &open_mask));
  equals("its handler ran, too", 2, signals);
  sigset_t after;
  sigprocmask(SIG_BLOCK, NULL, &after);
  equals("the mask is back", 1, sigismember(&after, SIGUSR1));
}
