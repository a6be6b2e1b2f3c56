// epoll(7): level and edge triggered, one-shot, nested, errors.
#include <sys/epoll.h>
#include <sys/socket.h>

#include "case.h"

static int set(int poller, int operation, int fd, uint32_t events, uint64_t data) {
  struct epoll_event event = {.events = events, .data.u64 = data};
  return epoll_ctl(poller, operation, fd, &event);
}

static void run(void) {
  struct epoll_event got[8];
  int ends[2];
  char byte;
  fails("epoll_create1() with a wrong flag", EINVAL, epoll_create1(1));
  fails("epoll_create(0)", EINVAL, epoll_create(0));
  int poller = works("epoll_create1", epoll_create1(EPOLL_CLOEXEC));
  must(pipe(ends));
  works("EPOLL_CTL_ADD", set(poller, EPOLL_CTL_ADD, ends[0], EPOLLIN, 0x123456789abcdefULL));
  fails("EPOLL_CTL_ADD twice", EEXIST, set(poller, EPOLL_CTL_ADD, ends[0], EPOLLIN, 1));
  fails("EPOLL_CTL_MOD of a stranger", ENOENT, set(poller, EPOLL_CTL_MOD, ends[1], EPOLLIN, 1));
  fails("EPOLL_CTL_DEL of a stranger", ENOENT, set(poller, EPOLL_CTL_DEL, ends[1], 0, 1));
  fails("EPOLL_CTL_ADD of a closed one", EBADF, set(poller, EPOLL_CTL_ADD, 99, EPOLLIN, 1));
  fails("EPOLL_CTL_ADD of itself", EINVAL, set(poller, EPOLL_CTL_ADD, poller, EPOLLIN, 1));
  int file = must(open("file", O_RDWR | O_CREAT, 0600));
  fails("EPOLL_CTL_ADD of a file", EPERM, set(poller, EPOLL_CTL_ADD, file, EPOLLIN, 1));
  fails("epoll_wait() of no events", EINVAL, epoll_wait(poller, got, 0, 0));
  fails("epoll_wait() of something else", EINVAL, epoll_wait(file, got, 8, 0));

  equals("nothing is ready", 0, epoll_wait(poller, got, 8, 0));
  must(write(ends[1], "ab", 2));
  equals("level: ready", 1, epoll_wait(poller, got, 8, -1));
  equals("its events", EPOLLIN, got[0].events);
  check("its data", got[0].data.u64 == 0x123456789abcdefULL);
  equals("level: still ready", 1, epoll_wait(poller, got, 8, 0));
  must(read(ends[0], &byte, 1));
  must(read(ends[0], &byte, 1));
  equals("level: read empty", 0, epoll_wait(poller, got, 8, 0));

  works("EPOLLET", set(poller, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLET, 2));
  must(write(ends[1], "a", 1));
  equals("edge: told", 1, epoll_wait(poller, got, 8, 0));
  equals("edge: not told again", 0, epoll_wait(poller, got, 8, 0));
  must(write(ends[1], "b", 1));
  equals("edge: more data is a new edge", 1, epoll_wait(poller, got, 8, 0));
  works("EPOLLET anew", set(poller, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLET, 2));
  equals("edge: MOD looks anew", 1, epoll_wait(poller, got, 8, 0));

  works("EPOLLONESHOT", set(poller, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLONESHOT, 3));
  equals("one-shot: told", 1, epoll_wait(poller, got, 8, 0));
  must(write(ends[1], "c", 1));
  equals("one-shot: disarmed", 0, epoll_wait(poller, got, 8, 0));
  works("rearmed", set(poller, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLONESHOT, 4));
  equals("one-shot: told again", 1, epoll_wait(poller, got, 8, 0));
  equals("with its new data", 4, got[0].data.u64);
  works("EPOLL_CTL_DEL", epoll_ctl(poller, EPOLL_CTL_DEL, ends[0], NULL));
  equals("gone", 0, epoll_wait(poller, got, 8, 0));

  must(set(poller, EPOLL_CTL_ADD, ends[0], EPOLLIN, 5));
  int outer = must(epoll_create1(0));
  works("an epoll in an epoll", set(outer, EPOLL_CTL_ADD, poller, EPOLLIN, 6));
  equals("is ready when something in it is", 1, epoll_wait(outer, got, 8, 0));
  equals("data of the outer", 6, got[0].data.u64);
  fails("a loop of epolls", ELOOP, set(poller, EPOLL_CTL_ADD, outer, EPOLLIN, 7));

  close(ends[1]);
  equals("EPOLLHUP", 1, epoll_wait(poller, got, 8, 0));
  equals("with what is left to read", EPOLLIN | EPOLLHUP, got[0].events);
  close(ends[0]);
  equals("a closed descriptor is removed", 0, epoll_wait(poller, got, 8, 0));

  must(pipe(ends));
  must(set(poller, EPOLL_CTL_ADD, ends[0], EPOLLIN, 8));
  int copy = must(dup(ends[0]));
  close(ends[0]);
  must(write(ends[1], "x", 1));
  equals("but not while a duplicate is open", 1, epoll_wait(poller, got, 8, 0));
  close(copy);
  equals("then it is", 0, epoll_wait(poller, got, 8, 0));

  int pair[2];
  must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  must(set(poller, EPOLL_CTL_ADD, pair[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, 9));
  equals("a socket", 1, epoll_wait(poller, got, 8, 0));
  equals("can be written", EPOLLOUT, got[0].events);
  pid_t pid = must(fork());
  if (pid == 0) {
    sleep_ms(50);
    must(write(pair[1], "x", 1));
    _exit(0);
  }
  equals("epoll_wait() wakes", 1, epoll_wait(poller, got, 8, -1));
  equals("with both", EPOLLIN | EPOLLOUT, got[0].events);
  status_of(pid);
  must(shutdown(pair[1], SHUT_WR));
  equals("EPOLLRDHUP is an edge", 1, epoll_wait(poller, got, 8, 0));
  equals("all of it", EPOLLIN | EPOLLOUT | EPOLLRDHUP, got[0].events);

  int many[20][2];
  for (int i = 0; i < 20; i++) {
    must(pipe(many[i]));
    must(set(poller, EPOLL_CTL_ADD, many[i][0], EPOLLIN, (uint64_t)(100 + i)));
    must(write(many[i][1], "x", 1));
  }
  must(epoll_ctl(poller, EPOLL_CTL_DEL, pair[0], NULL));
  unsigned seen = 0;
  for (int round = 0; round < 10; round++) {
    int count = epoll_wait(poller, got, 8, 0);
    for (int i = 0; i < count; i++) seen |= 1u << (got[i].data.u64 - 100);
  }
  equals("with few slots all get their turn", 0xfffff, seen);
  long before = now_ms();
  int empty = must(epoll_create1(0));
  equals("a timeout", 0, epoll_wait(empty, got, 8, 40));
  check("took its time", now_ms() - before >= 39);
}
