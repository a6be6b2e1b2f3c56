// unix(7): streams, datagrams, sequenced packets, names, passing descriptors and credentials.
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "case.h"

static struct sockaddr_un named(const char* path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  return address;
}

static void pairs(void) {
  int pair[2];
  char text[64];
  works("socketpair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  must(write(pair[0], "one", 3));
  must(write(pair[0], "two", 3));
  equals("a stream has no boundaries", 6, read(pair[1], text, sizeof text));
  fails("MSG_DONTWAIT", EAGAIN, recv(pair[1], text, 1, MSG_DONTWAIT));
  must(send(pair[1], "peeked", 6, 0));
  equals("MSG_PEEK", 3, recv(pair[0], text, 3, MSG_PEEK));
  equals("and then read", 6, recv(pair[0], text, sizeof text, 0));
  works("shutdown", shutdown(pair[0], SHUT_WR));
  equals("the other side reads the end", 0, read(pair[1], text, 1));
  fails("our side cannot write", EPIPE, send(pair[0], "x", 1, MSG_NOSIGNAL));
  equals("the other direction works", 1, write(pair[1], "x", 1));
  close(pair[0]);
  signal(SIGPIPE, SIG_IGN);
  fails("write() to a closed one", EPIPE, write(pair[1], "x", 1));
  close(pair[1]);

  must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
  must(send(pair[0], "first", 5, 0));
  must(send(pair[0], "second", 6, 0));
  equals("packets keep their boundaries", 5, recv(pair[1], text, sizeof text, 0));
  equals("a short buffer cuts", 3, recv(pair[1], text, 3, 0));
  fails("and the rest is lost", EAGAIN, recv(pair[1], text, 3, MSG_DONTWAIT));
  close(pair[0]);
  equals("then the end", 0, recv(pair[1], text, 3, 0));
  close(pair[1]);
  must(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
  must(send(pair[0], "", 0, 0));
  equals("an empty datagram", 0, recv(pair[1], text, 3, MSG_DONTWAIT));
  must(send(pair[0], "12345", 5, 0));
  equals("MSG_TRUNC tells the length", 5, recv(pair[1], text, 2, MSG_TRUNC));
  close(pair[0]);
  close(pair[1]);
  fails("no such family", EAFNOSUPPORT, socket(200, SOCK_STREAM, 0));
  fails("no such type", EINVAL, socket(AF_UNIX, 77, 0));
  fails("no such protocol", EPROTONOSUPPORT, socket(AF_UNIX, SOCK_STREAM, 99));
}

static void names(void) {
  struct sockaddr_un address = named("socket"), peer;
  socklen_t length = sizeof peer;
  struct stat info;
  char text[64];
  int server = works("socket", socket(AF_UNIX, SOCK_STREAM, 0));
  int client = must(socket(AF_UNIX, SOCK_STREAM, 0));
  fails("connect() to nothing", ENOENT, connect(client, (void*)&address, sizeof address));
  fails("listen() without a name", EINVAL, listen(server, 1));
  works("bind", bind(server, (void*)&address, sizeof address));
  must(stat("socket", &info));
  check("its name is a socket", S_ISSOCK(info.st_mode));
  struct sockaddr_un another = named("another");
  fails("bind() to a second name", EINVAL, bind(server, (void*)&another, sizeof another));
  int second = must(socket(AF_UNIX, SOCK_STREAM, 0));
  fails("a name in use", EADDRINUSE, bind(second, (void*)&address, sizeof address));
  fails("connect() before listen()", ECONNREFUSED,
        connect(client, (void*)&address, sizeof address));
  fails("open() of a socket", ENXIO, open("socket", O_RDWR));
  works("listen", listen(server, 5));
  fails("accept() of none", EAGAIN, ({
          fcntl(server, F_SETFL, O_NONBLOCK);
          accept(server, NULL, NULL);
        }));
  fcntl(server, F_SETFL, 0);
  works("connect", connect(client, (void*)&address, sizeof address));
  fails("connect() twice", EISCONN, connect(client, (void*)&address, sizeof address));
  must(write(client, "early", 5));
  int accepted = works("accept4", accept4(server, (void*)&peer, &length, SOCK_CLOEXEC));
  equals("an unnamed peer", sizeof(sa_family_t), length);
  equals("what was sent early", 5, read(accepted, text, sizeof text));
  length = sizeof peer;
  works("getpeername", getpeername(client, (void*)&peer, &length));
  same_text("the server's name", "socket", peer.sun_path);
  works("getsockname", getsockname(server, (void*)&peer, &length));
  struct ucred credentials;
  length = sizeof credentials;
  works("SO_PEERCRED", getsockopt(client, SOL_SOCKET, SO_PEERCRED, &credentials, &length));
  check("is who listened", credentials.pid == getpid() && credentials.uid == geteuid());
  int value = 0;
  length = sizeof value;
  must(getsockopt(client, SOL_SOCKET, SO_TYPE, &value, &length));
  equals("SO_TYPE", SOCK_STREAM, value);
  must(getsockopt(server, SOL_SOCKET, SO_ACCEPTCONN, &value, &length));
  equals("SO_ACCEPTCONN", 1, value);
  must(getsockopt(client, SOL_SOCKET, SO_ERROR, &value, &length));
  equals("SO_ERROR", 0, value);
  fails("no such option", ENOPROTOOPT, getsockopt(client, SOL_SOCKET, 9999, &value, &length));
  close(server);
  must(unlink("socket"));
  equals("the connection lives on", 1, write(accepted, "x", 1));
  fails("a descriptor that is no socket", ENOTSOCK, listen(must(open("/dev/null", O_RDWR)), 1));
  fails("getpeername() without peer", ENOTCONN, getpeername(second, (void*)&peer, &length));
  fails("send() without peer", ENOTCONN, send(second, "x", 1, MSG_NOSIGNAL));

  struct sockaddr_un hidden = {.sun_family = AF_UNIX};
  memcpy(hidden.sun_path, "\0conformance", 12);
  socklen_t hidden_length = offsetof(struct sockaddr_un, sun_path) + 12;
  server = must(socket(AF_UNIX, SOCK_STREAM, 0));
  works("an abstract name", bind(server, (void*)&hidden, hidden_length));
  must(listen(server, 1));
  works("connects", connect(second, (void*)&hidden, hidden_length));
  close(server);
  client = must(socket(AF_UNIX, SOCK_STREAM, 0));
  fails("and is gone with its socket", ECONNREFUSED,
        connect(client, (void*)&hidden, hidden_length));

  int left = must(socket(AF_UNIX, SOCK_DGRAM, 0)), right = must(socket(AF_UNIX, SOCK_DGRAM, 0));
  struct sockaddr_un left_name = named("left"), right_name = named("right");
  must(bind(left, (void*)&left_name, sizeof left_name));
  must(bind(right, (void*)&right_name, sizeof right_name));
  equals("sendto", 4, sendto(left, "gram", 4, 0, (void*)&right_name, sizeof right_name));
  length = sizeof peer;
  equals("recvfrom", 4, recvfrom(right, text, sizeof text, 0, (void*)&peer, &length));
  same_text("its sender", "left", peer.sun_path);
  fails("sendto() of nobody", ENOENT, ({
          struct sockaddr_un nobody = named("nobody");
          sendto(left, "x", 1, 0, (void*)&nobody, sizeof nobody);
        }));
  fails("send() without destination", ENOTCONN, send(left, "x", 1, 0));
}

static ssize_t send_with(int fd, int level_type, const void* data, size_t size) {
  char control[256] = {0};
  struct iovec iovec = {"*", 1};
  struct msghdr message = {.msg_iov = &iovec, .msg_iovlen = 1, .msg_control = control};
  message.msg_controllen = CMSG_SPACE(size);
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  *header = (struct cmsghdr){
      .cmsg_level = SOL_SOCKET, .cmsg_type = level_type, .cmsg_len = CMSG_LEN(size)};
  memcpy(CMSG_DATA(header), data, size);
  return sendmsg(fd, &message, 0);
}

// The data of the control message of this type, or nothing; tells the message's flags.
static int receive_with(int fd, int type, void* data, size_t size, size_t room, int flags) {
  char control[256], byte;
  struct iovec iovec = {&byte, 1};
  struct msghdr message = {
      .msg_iov = &iovec, .msg_iovlen = 1, .msg_control = control, .msg_controllen = room};
  if (recvmsg(fd, &message, flags) != 1) return -1;
  for (struct cmsghdr* h = CMSG_FIRSTHDR(&message); h != NULL; h = CMSG_NXTHDR(&message, h)) {
    if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == type) memcpy(data, CMSG_DATA(h), size);
  }
  return message.msg_flags;
}

static void passing(void) {
  int pair[2], fds[3], got[3] = {-1, -1, -1};
  must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  int file = must(open("passed", O_RDWR | O_CREAT, 0600));
  must(write(file, "through a socket", 16));
  must(lseek(file, 8, SEEK_SET));
  pid_t pid = must(fork());
  if (pid == 0) {
    fds[0] = must(open("passed", O_RDONLY));
    must(lseek(fds[0], 10, SEEK_SET));
    _exit(send_with(pair[0], SCM_RIGHTS, fds, sizeof(int)) == 1 ? 0 : 1);
  }
  equals("SCM_RIGHTS: sent by a child", 0, status_of(pid));
  equals("received", 0, receive_with(pair[1], SCM_RIGHTS, got, sizeof(int), 256, 0));
  equals("with its offset", 10, lseek(got[0], 0, SEEK_CUR));
  fds[0] = fds[1] = fds[2] = file;
  equals("three at once", 1, send_with(pair[0], SCM_RIGHTS, fds, sizeof fds));
  equals("MSG_CMSG_CLOEXEC", MSG_CMSG_CLOEXEC,
         receive_with(pair[1], SCM_RIGHTS, got, sizeof got, 256, MSG_CMSG_CLOEXEC));
  equals("closes on exec", FD_CLOEXEC, fcntl(got[2], F_GETFD));
  must(send_with(pair[0], SCM_RIGHTS, fds, sizeof fds));
  equals(
      "too little room: MSG_CTRUNC", MSG_CTRUNC,
      receive_with(pair[1], SCM_RIGHTS, got, sizeof(int), CMSG_SPACE(sizeof(int)), 0) & MSG_CTRUNC);
  fds[0] = 99;
  fails("a closed descriptor", EBADF, send_with(pair[0], SCM_RIGHTS, fds, sizeof(int)));

  int on = 1;
  struct ucred mine = {getpid(), getuid(), getgid()}, theirs = {0};
  must(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
  must(write(pair[0], "x", 1));
  receive_with(pair[1], SCM_CREDENTIALS, &theirs, sizeof theirs, 256, 0);
  check("SO_PASSCRED adds credentials", memcmp(&mine, &theirs, sizeof mine) == 0);
  must(send_with(pair[0], SCM_CREDENTIALS, &mine, sizeof mine));
  receive_with(pair[1], SCM_CREDENTIALS, &theirs, sizeof theirs, 256, 0);
  check("SCM_CREDENTIALS", theirs.pid == getpid());
}

static void run(void) {
  pairs();
  names();
  passing();
}
