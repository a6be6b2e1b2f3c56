// Connections and pipes that have been used for a while: waiting, flags, errors and signals are
// what they were at the first call. socket(7), pipe(7), fcntl(2), signal(7).
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "case.h"

#define LARGE (4 << 20)

static volatile sig_atomic_t signals_seen;
static void on_signal(int signo) { (void)signo, signals_seen++; }

static void handle(int signo, int flags) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
  must(sigaction(signo, &action, NULL));
}

// Two ends of a TCP connection.
static void connection(int ends[2]) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int listener = must(socket(AF_INET, SOCK_STREAM, 0));
  must(bind(listener, (struct sockaddr*)&address, sizeof address));
  must(listen(listener, 1));
  must(getsockname(listener, (struct sockaddr*)&address, &length));
  ends[0] = must(socket(AF_INET, SOCK_STREAM, 0));
  must(connect(ends[0], (struct sockaddr*)&address, sizeof address));
  ends[1] = must(accept(listener, NULL, NULL));
  close(listener);
}

// Moves a byte both ways a few times.
static void use(int a, int b) {
  char byte = 'u';
  for (int i = 0; i < 4; i++) {
    must(write(a, &byte, 1));
    must(read(b, &byte, 1));
  }
}

static void use_both(int ends[2]) {
  use(ends[0], ends[1]);
  use(ends[1], ends[0]);
}

// A child that reads so many bytes slowly and says whether they were all there.
static pid_t slow_reader(int fd, int other, long expected) {
  pid_t pid = must(fork());
  if (pid != 0) return pid;
  close(other);
  static char buffer[1 << 16];
  long total = 0;
  ssize_t got;
  sleep_ms(20);
  while (total < expected && (got = read(fd, buffer, sizeof buffer)) > 0) total += got;
  _exit(total == expected ? 0 : 1);
}

// A child that sends the parent a signal after a while, and then the connection a byte.
static pid_t interrupter(int signo, int fd) {
  pid_t parent = getpid();
  pid_t pid = must(fork());
  if (pid != 0) return pid;
  sleep_ms(50);
  kill(parent, signo);
  sleep_ms(50);
  write(fd, "z", 1);
  _exit(0);
}

static void blocking_writes(void) {
  static char large[LARGE];
  int ends[2];
  connection(ends);
  use_both(ends);
  pid_t reader = slow_reader(ends[1], ends[0], 3L * LARGE);
  equals("a blocking write() sends everything", LARGE, write(ends[0], large, LARGE));
  equals("so does send()", LARGE, send(ends[0], large, LARGE, 0));
  struct iovec pieces[2] = {{large, LARGE / 2}, {large, LARGE / 2}};
  equals("and writev()", LARGE, writev(ends[0], pieces, 2));
  equals("all of it arrives", 0, status_of(reader));
  must(pipe(ends));
  use(ends[1], ends[0]);
  reader = slow_reader(ends[0], ends[1], 2L * LARGE);
  equals("a blocking write() to a pipe, too", LARGE, write(ends[1], large, LARGE));
  equals("and writev() to one", LARGE, writev(ends[1], pieces, 2));
  equals("which arrives", 0, status_of(reader));
}

static void flags(void) {
  char byte;
  static char large[LARGE];
  int ends[2];
  int on = 1;
  int off = 0;
  connection(ends);
  use_both(ends);
  must(fcntl(ends[0], F_SETFL, O_NONBLOCK));
  fails("O_NONBLOCK counts at once", EAGAIN, read(ends[0], &byte, 1));
  ssize_t sent = write(ends[0], large, LARGE);
  check("a write is then short", sent > 0 && sent < LARGE);
  must(fcntl(ends[0], F_SETFL, 0));
  pid_t pid = interrupter(SIGCONT, ends[1]);
  equals("without it read() waits", 1, read(ends[0], &byte, 1));
  status_of(pid);
  must(ioctl(ends[0], FIONBIO, &on));
  fails("FIONBIO does the same", EAGAIN, recv(ends[0], &byte, 1, 0));
  must(ioctl(ends[0], FIONBIO, &off));
  if ((pid = must(fork())) == 0) _exit(fcntl(ends[0], F_SETFL, O_NONBLOCK) == -1);
  status_of(pid);
  fails("and another process", EAGAIN, read(ends[0], &byte, 1));
  must(fcntl(ends[0], F_SETFL, 0));
  fails("MSG_DONTWAIT", EAGAIN, recv(ends[0], &byte, 1, MSG_DONTWAIT));
  struct timeval limit = {0, 40000};
  must(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
  long before = now_ms();
  fails("SO_RCVTIMEO", EAGAIN, recv(ends[0], &byte, 1, 0));
  check("took its time", now_ms() - before >= 39);
  must(pipe(ends));
  use(ends[1], ends[0]);
  must(fcntl(ends[0], F_SETFL, O_NONBLOCK));
  fails("a pipe's O_NONBLOCK", EAGAIN, read(ends[0], &byte, 1));
  must(fcntl(ends[1], F_SETFL, O_NONBLOCK));
  sent = write(ends[1], large, LARGE);
  check("its short write", sent > 0 && sent < LARGE);
}

static void interruptions(void) {
  char byte;
  int ends[2];
  connection(ends);
  use_both(ends);
  handle(SIGUSR1, 0);
  signals_seen = 0;
  pid_t pid = start_signals(SIGUSR1);
  fails("a handler interrupts recv()", EINTR, recv(ends[0], &byte, 1, 0));
  check("once it has run", signals_seen >= 1);
  stop_signals(pid);
  signals_seen = 0;
  handle(SIGUSR1, SA_RESTART);
  pid = interrupter(SIGUSR1, ends[1]);
  equals("SA_RESTART goes on", 1, recv(ends[0], &byte, 1, 0));
  equals("after the handler", 1, signals_seen);
  status_of(pid);
  signal(SIGUSR1, SIG_IGN);
  pid = interrupter(SIGUSR1, ends[1]);
  equals("an ignored signal does nothing", 1, recv(ends[0], &byte, 1, 0));
  status_of(pid);
  handle(SIGUSR1, SA_RESTART);
  struct pollfd asked = {ends[0], POLLIN, 0};
  poll(&asked, 1, 0);
  poll(&asked, 1, 0);
  pid = start_signals(SIGUSR1);
  fails("poll() is never restarted", EINTR, poll(&asked, 1, 60000));
  stop_signals(pid);
  must(write(ends[1], "z", 1));
  equals("then it sees the byte", 1, poll(&asked, 1, 5000));
  must(read(ends[0], &byte, 1));

  pid = must(fork());
  if (pid == 0) {
    use_both(ends);
    _exit(read(ends[0], &byte, 1) == 1 ? 7 : 8);
  }
  int status = 0;
  sleep_ms(50);
  must(kill(pid, SIGSTOP));
  must(waitpid(pid, &status, WUNTRACED));
  check("a reader that waits can be stopped", WIFSTOPPED(status));
  must(write(ends[1], "s", 1));
  must(kill(pid, SIGCONT));
  equals("and continued", 7, status_of(pid));
  pid = must(fork());
  if (pid == 0) {
    use_both(ends);
    read(ends[0], &byte, 1);
    _exit(9);
  }
  sleep_ms(50);
  must(kill(pid, SIGKILL));
  equals("and killed", 128 + SIGKILL, status_of(pid));
}

static void ends_and_errors(void) {
  char byte;
  int ends[2];
  connection(ends);
  use_both(ends);
  must(shutdown(ends[1], SHUT_WR));
  equals("the end of a stream", 0, read(ends[0], &byte, 1));
  equals("stays", 0, read(ends[0], &byte, 1));
  close(ends[1]);
  handle(SIGPIPE, 0);
  signals_seen = 0;
  while (send(ends[0], "x", 1, MSG_NOSIGNAL) == 1) sleep_ms(1);
  fails("MSG_NOSIGNAL", EPIPE, send(ends[0], "x", 1, MSG_NOSIGNAL));
  equals("raises nothing", 0, signals_seen);
  fails("a write to nobody", EPIPE, write(ends[0], "x", 1));
  equals("raises SIGPIPE", 1, signals_seen);
  connection(ends);
  use_both(ends);
  struct linger none = {1, 0};
  must(setsockopt(ends[1], SOL_SOCKET, SO_LINGER, &none, sizeof none));
  close(ends[1]);
  fails("a reset", ECONNRESET, recv(ends[0], &byte, 1, 0));
  equals("is told once", 0, recv(ends[0], &byte, 1, 0));

  int first[2];
  int second[2];
  must(pipe(first));
  must(pipe(second));
  use(first[1], first[0]);
  use(second[1], second[0]);
  must(write(second[1], "2", 1));
  must(dup2(second[0], first[0]));
  equals("dup2() over a used descriptor", 1, read(first[0], &byte, 1));
  equals("reads what it is now", '2', byte);
  close(second[0]);
  close(first[0]);
  fails("a closed one", EBADF, read(first[0], &byte, 1));
  fails("with its last reader a pipe breaks", EPIPE, write(second[1], "x", 1));
  connection(ends);
  use_both(ends);
  must(write(ends[1], "x", 1));
  fails("a bad address", EFAULT, read(ends[0], (void*)1, 1));
}

static void messages(void) {
  int pair[2];
  must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  use_both(pair);
  char a[2];
  char b[2];
  struct iovec out[2] = {{"ab", 2}, {"cd", 2}};
  struct iovec in[2] = {{a, 2}, {b, 2}};
  struct msghdr message = {.msg_iov = out, .msg_iovlen = 2};
  equals("sendmsg()", 4, sendmsg(pair[0], &message, 0));
  message.msg_iov = in;
  equals("recvmsg()", 4, recvmsg(pair[1], &message, 0));
  check("in pieces", memcmp(a, "ab", 2) == 0 && memcmp(b, "cd", 2) == 0);
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control = {0};
  struct msghdr carrier = {
      .msg_iov = out, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  struct cmsghdr* header = CMSG_FIRSTHDR(&carrier);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &pair[0], sizeof(int));
  equals("a descriptor goes along", 2, sendmsg(pair[0], &carrier, 0));
  memset(&control, 0, sizeof control);
  carrier.msg_iov = in;
  carrier.msg_controllen = sizeof control;
  equals("and arrives", 2, recvmsg(pair[1], &carrier, 0));
  header = CMSG_FIRSTHDR(&carrier);
  check("as one", header != NULL && header->cmsg_type == SCM_RIGHTS);
  struct sockaddr_un_like {
    sa_family_t family;
    char path[100];
  } from;
  socklen_t length = sizeof from;
  must(write(pair[0], "x", 1));
  equals("recvfrom() a pair", 1, recvfrom(pair[1], a, 1, 0, (struct sockaddr*)&from, &length));
  check("has no name to tell", length <= sizeof(sa_family_t));
}

static int set(int poller, int operation, int fd, uint64_t data) {
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = data};
  return epoll_ctl(poller, operation, fd, &event);
}

static void many(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int listener = must(socket(AF_INET, SOCK_STREAM, 0));
  must(bind(listener, (struct sockaddr*)&address, sizeof address));
  must(listen(listener, 5));
  must(getsockname(listener, (struct sockaddr*)&address, &length));
  int ends[2];
  connection(ends);
  use_both(ends);
  int poller = must(epoll_create1(0));
  must(set(poller, EPOLL_CTL_ADD, listener, 1));
  must(set(poller, EPOLL_CTL_ADD, ends[0], 2));
  struct epoll_event got[4];
  for (int i = 0; i < 4; i++) must(epoll_wait(poller, got, 4, 0));
  equals("nothing is ready", 0, epoll_wait(poller, got, 4, 10));
  must(write(ends[1], "x", 1));
  equals("a connection is", 1, epoll_wait(poller, got, 4, -1));
  int client = must(socket(AF_INET, SOCK_STREAM, 0));
  must(connect(client, (struct sockaddr*)&address, sizeof address));
  equals("and a listener beside it", 2, epoll_wait(poller, got, 4, -1));
  equals("each with its data", 3, got[0].data.u64 + got[1].data.u64);
  unsigned seen = 0;
  for (int i = 0; i < 8; i++) {
    equals("one at a time", 1, epoll_wait(poller, got, 1, -1));
    seen |= 1u << got[0].data.u64;
  }
  equals("both get their turn", 6, seen);
  int accepted = must(accept(listener, NULL, NULL));
  equals("accepted, it is ready no more", 1, epoll_wait(poller, got, 4, -1));
  equals("but the connection is", 2, got[0].data.u64);
  char byte;
  must(read(ends[0], &byte, 1));
  handle(SIGUSR1, SA_RESTART);
  pid_t pid = start_signals(SIGUSR1);
  fails("epoll_wait() is never restarted", EINTR, epoll_wait(poller, got, 4, 60000));
  stop_signals(pid);
  long before = now_ms();
  equals("its timeout", 0, epoll_wait(poller, got, 4, 40));
  check("takes its time", now_ms() - before >= 39);
  struct epoll_event once = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = 9};
  must(write(ends[1], "x", 1));
  for (int round = 0; round < 3; round++) {
    fails("what is watched is not added", EEXIST, set(poller, EPOLL_CTL_ADD, ends[0], 2));
    works("but changed", epoll_ctl(poller, EPOLL_CTL_MOD, ends[0], &once));
    equals("told once", 1, epoll_wait(poller, got, 4, 1000));
    equals("with its new data", 9, got[0].data.u64);
    equals("and not again", 0, epoll_wait(poller, got, 4, 0));
    works("until it is armed anew", epoll_ctl(poller, EPOLL_CTL_MOD, ends[0], &once));
    equals("which tells it", 1, epoll_wait(poller, got, 4, 1000));
    works("removed", epoll_ctl(poller, EPOLL_CTL_DEL, ends[0], NULL));
    fails("it is not removed again", ENOENT, epoll_ctl(poller, EPOLL_CTL_DEL, ends[0], NULL));
    fails("nor changed", ENOENT, set(poller, EPOLL_CTL_MOD, ends[0], 2));
    works("but added", set(poller, EPOLL_CTL_ADD, ends[0], 2));
    equals("it is told", 1, epoll_wait(poller, got, 4, 1000));
  }
  if ((pid = must(fork())) == 0) _exit(epoll_ctl(poller, EPOLL_CTL_DEL, ends[0], NULL) != 0);
  equals("a child may remove it", 0, status_of(pid));
  equals("for all", 0, epoll_wait(poller, got, 4, 0));
  works("and it may come back", set(poller, EPOLL_CTL_ADD, ends[0], 2));
  must(read(ends[0], &byte, 1));
  int inner = must(epoll_create1(0));
  must(set(inner, EPOLL_CTL_ADD, accepted, 3));
  must(set(poller, EPOLL_CTL_ADD, inner, 4));
  must(write(client, "x", 1));
  equals("an instance inside it", 1, epoll_wait(poller, got, 4, 5000));
  equals("says so", 4, got[0].data.u64);
  struct pollfd asked[3] = {{ends[0], POLLIN, 7}, {-1, POLLIN, 7}, {accepted, POLLIN, 7}};
  for (int i = 0; i < 3; i++) must(poll(asked, 3, 0));
  equals("poll()", 1, poll(asked, 3, 0));
  equals("what has nothing", 0, asked[0].revents);
  equals("what is none", 0, asked[1].revents);
  equals("what has something", POLLIN, asked[2].revents);
  close(ends[0]);
  equals("a closed one and it", 2, poll(asked, 3, 0));
  equals("is no descriptor", POLLNVAL, asked[0].revents);
}

static void* waiting_reader(void* argument) {
  char byte;
  read(*(int*)argument, &byte, 1);
  return NULL;
}

static void threads(void) {
  int ends[2];
  connection(ends);
  use_both(ends);
  pid_t pid = must(fork());
  if (pid == 0) {
    pthread_t thread;
    pthread_create(&thread, NULL, waiting_reader, &ends[0]);
    sleep_ms(30);
    exit(5);
  }
  equals("exit() while a thread waits", 5, status_of(pid));
}

static void run(void) {
  blocking_writes();
  flags();
  interruptions();
  ends_and_errors();
  messages();
  many();
  threads();
}
