// ip(7), tcp(7), udp(7) on the loopback.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "case.h"

static struct sockaddr_in loopback(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

static int port_of(int fd) {
  struct sockaddr_in address;
  socklen_t length = sizeof address;
  must(getsockname(fd, (void*)&address, &length));
  return ntohs(address.sin_port);
}

static void streams(void) {
  int on = 1, value = 0;
  char text[64];
  struct sockaddr_in address = loopback(0), peer;
  socklen_t length = sizeof value;
  int server = works("socket", socket(AF_INET, SOCK_STREAM, 0));
  works("SO_REUSEADDR", setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
  works("bind", bind(server, (void*)&address, sizeof address));
  int port = port_of(server);
  check("a port was chosen", port > 0);
  address = loopback(port);
  int client = must(socket(AF_INET, SOCK_STREAM, 0));
  fails("connect() before listen()", ECONNREFUSED,
        connect(client, (void*)&address, sizeof address));
  works("listen", listen(server, 5));
  close(client);
  client = must(socket(AF_INET, SOCK_STREAM, 0));
  works("connect", connect(client, (void*)&address, sizeof address));
  length = sizeof peer;
  int accepted = works("accept", accept(server, (void*)&peer, &length));
  check("the peer's port", port_of(client) == ntohs(peer.sin_port));
  equals("the peer's address", INADDR_LOOPBACK, ntohl(peer.sin_addr.s_addr));
  length = sizeof peer;
  must(getpeername(client, (void*)&peer, &length));
  check("getpeername", port == ntohs(peer.sin_port));
  equals("send", 5, send(client, "hello", 5, 0));
  equals("recv(MSG_WAITALL)", 5, recv(accepted, text, 5, MSG_WAITALL));
  works("TCP_NODELAY", setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
  length = sizeof value;
  must(getsockopt(client, IPPROTO_TCP, TCP_NODELAY, &value, &length));
  check("is set", value != 0);
  must(getsockopt(client, SOL_SOCKET, SO_DOMAIN, &value, &length));
  equals("SO_DOMAIN", AF_INET, value);
  must(setsockopt(client, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on));
  must(send(client, "abc", 3, 0));
  struct pollfd poll_fd = {accepted, POLLIN, 0};
  equals("poll", 1, poll(&poll_fd, 1, 5000));
  must(ioctl(accepted, FIONREAD, &value));
  equals("FIONREAD", 3, value);
  must(recv(accepted, text, sizeof text, 0));
  works("shutdown", shutdown(client, SHUT_WR));
  equals("the end", 0, recv(accepted, text, sizeof text, 0));
  equals("half open: send", 4, send(accepted, "back", 4, 0));
  equals("half open: recv", 4, recv(client, text, sizeof text, 0));
  close(accepted);
  equals("closed", 0, recv(client, text, sizeof text, 0));
  close(client);

  int other = must(socket(AF_INET, SOCK_STREAM, 0));
  fails("a port in use", EADDRINUSE, bind(other, (void*)&address, sizeof address));
  struct sockaddr_in foreign = loopback(0);
  foreign.sin_addr.s_addr = htonl(0x08080808);
  fails("an address that is not ours", EADDRNOTAVAIL, bind(other, (void*)&foreign, sizeof foreign));
  fails("a short address", EINVAL, bind(other, (void*)&address, 3));
  fails("shutdown() without peer", ENOTCONN, shutdown(other, SHUT_RD));

  client = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  int result = connect(client, (void*)&address, sizeof address);
  check("connect() without waiting", result == 0 || errno == EINPROGRESS);
  poll_fd = (struct pollfd){client, POLLOUT, 0};
  equals("then it can be written", 1, poll(&poll_fd, 1, 5000));
  length = sizeof value;
  must(getsockopt(client, SOL_SOCKET, SO_ERROR, &value, &length));
  equals("SO_ERROR", 0, value);
  fails("recv() of nothing", EAGAIN, recv(client, text, 1, 0));
  accepted = must(accept(server, NULL, NULL));
  struct linger linger = {1, 0};
  must(setsockopt(accepted, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
  close(accepted);
  poll_fd.events = POLLIN;
  poll(&poll_fd, 1, 5000);
  fails("SO_LINGER of 0 resets", ECONNRESET, recv(client, text, 1, 0));
  close(client);
  client = must(socket(AF_INET, SOCK_STREAM, 0));
  must(connect(client, (void*)&address, sizeof address));
  close(must(accept(server, NULL, NULL)));
  equals("the end of what the peer sends", 0, recv(client, text, sizeof text, 0));
  equals("sending to who has closed", 3, send(client, "abc", 3, MSG_NOSIGNAL));
  poll_fd = (struct pollfd){client, 0, 0};
  poll(&poll_fd, 1, 5000);
  fails("sending again", EPIPE, send(client, "abc", 3, MSG_NOSIGNAL));
  close(client);
  client = must(socket(AF_INET, SOCK_STREAM, 0));
  must(connect(client, (void*)&address, sizeof address));
  accepted = must(accept(server, NULL, NULL));
  must(shutdown(client, SHUT_WR));
  fails("sending after shutdown()", EPIPE, send(client, "abc", 3, MSG_NOSIGNAL));
  close(accepted);
  close(client);
  close(server);
  client = must(socket(AF_INET, SOCK_STREAM, 0));
  fails("connect() after close()", ECONNREFUSED, connect(client, (void*)&address, sizeof address));

  server = must(socket(AF_INET, SOCK_STREAM, 0));
  address = loopback(0);
  must(bind(server, (void*)&address, sizeof address));
  must(listen(server, 5));
  address = loopback(port_of(server));
  pid_t pid = must(fork());
  if (pid == 0) {
    static char large[500000];
    client = must(socket(AF_INET, SOCK_STREAM, 0));
    must(connect(client, (void*)&address, sizeof address));
    for (size_t i = 0; i < sizeof large; i++) large[i] = (char)(i % 251);
    size_t sent = 0;
    while (sent < sizeof large)
      sent += (size_t)must(send(client, large + sent, sizeof large - sent, 0));
    _exit(0);
  }
  accepted = must(accept(server, NULL, NULL));
  static char buffer[7000];
  long total = 0, wrong = 0;
  ssize_t got;
  while ((got = recv(accepted, buffer, sizeof buffer, 0)) > 0) {
    for (ssize_t i = 0; i < got; i++) wrong += buffer[i] != (char)((total + i) % 251);
    total += got;
  }
  equals("half a million bytes", 500000, total);
  equals("in order", 0, wrong);
  equals("from a child", 0, status_of(pid));
}

static void datagrams(void) {
  char text[64];
  struct sockaddr_in address = loopback(0), peer;
  socklen_t length = sizeof peer;
  int left = works("a datagram socket", socket(AF_INET, SOCK_DGRAM, 0));
  int right = must(socket(AF_INET, SOCK_DGRAM, 0));
  must(bind(left, (void*)&address, sizeof address));
  must(bind(right, (void*)&address, sizeof address));
  address = loopback(port_of(right));
  equals("sendto", 5, sendto(left, "first", 5, 0, (void*)&address, sizeof address));
  must(sendto(left, "second", 6, 0, (void*)&address, sizeof address));
  equals("recvfrom", 5, recvfrom(right, text, sizeof text, 0, (void*)&peer, &length));
  check("its sender", port_of(left) == ntohs(peer.sin_port));
  equals("a short buffer cuts", 3, recv(right, text, 3, 0));
  fails("nothing is left", EAGAIN, recv(right, text, 3, MSG_DONTWAIT));
  fails("send() without destination", EDESTADDRREQ, send(left, "x", 1, 0));
  works("connect", connect(left, (void*)&address, sizeof address));
  equals("send", 1, send(left, "x", 1, 0));
  must(recv(right, text, 3, 0));
  close(right);
  send(left, "x", 1, 0);
  struct pollfd poll_fd = {left, POLLIN, 0};
  poll(&poll_fd, 1, 5000);
  fails("a closed port is told", ECONNREFUSED, recv(left, text, 1, 0));
  struct timeval time = {0, 30000};
  must(setsockopt(left, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
  fails("SO_RCVTIMEO", EAGAIN, recv(left, text, 1, 0));
  static char large[70000];
  fails("a datagram that is too long", EMSGSIZE, send(left, large, sizeof large, 0));
}

static void urgent(void) {
  int server = must(socket(AF_INET, SOCK_STREAM, 0)), one = 1;
  struct sockaddr_in address = loopback(0);
  must(bind(server, (void*)&address, sizeof address));
  must(listen(server, 1));
  address = loopback(port_of(server));
  int client = must(socket(AF_INET, SOCK_STREAM, 0));
  must(connect(client, (void*)&address, sizeof address));
  int accepted = must(accept(server, NULL, NULL));
  must(setsockopt(accepted, SOL_SOCKET, SO_OOBINLINE, &one, sizeof one));
  equals("MSG_OOB", 3, send(client, "abc", 3, MSG_OOB));
  char text[8] = {0};
  for (int length = 0; length < 3;) length += must(recv(accepted, text + length, 4, 0));
  same_text("SO_OOBINLINE: urgent bytes with the others", "abc", text);
  close(accepted);
  close(client);
  close(server);
}

// Through the loopback interface, which every machine has.
static void multicast(void) {
  struct sockaddr_in group = {AF_INET, 0, {htonl(0xefff0042)}, {0}};
  struct ip_mreq membership = {group.sin_addr, {htonl(INADDR_LOOPBACK)}};
  char text[16];
  int receivers[2];
  for (int i = 0; i < 2; i++) {
    int one = 1;
    receivers[i] = must(socket(AF_INET, SOCK_DGRAM, 0));
    must(setsockopt(receivers[i], SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
    struct sockaddr_in any = {AF_INET, group.sin_port, {htonl(INADDR_ANY)}, {0}};
    must(bind(receivers[i], (void*)&any, sizeof any));
    group.sin_port = htons((uint16_t)port_of(receivers[i]));
    works("IP_ADD_MEMBERSHIP",
          setsockopt(receivers[i], IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof membership));
  }
  fails("a member already", EADDRINUSE,
        setsockopt(receivers[0], IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof membership));
  int sender = must(socket(AF_INET, SOCK_DGRAM, 0));
  works("IP_MULTICAST_IF", setsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF,
                                      &membership.imr_interface, sizeof(struct in_addr)));
  equals("sending to a group", 3, sendto(sender, "all", 3, 0, (void*)&group, sizeof group));
  for (int i = 0; i < 2; i++) {
    equals("each member hears it", 3, recv(receivers[i], text, sizeof text, 0));
  }
  works("IP_DROP_MEMBERSHIP",
        setsockopt(receivers[0], IPPROTO_IP, IP_DROP_MEMBERSHIP, &membership, sizeof membership));
  fails("no member any more", EADDRNOTAVAIL,
        setsockopt(receivers[0], IPPROTO_IP, IP_DROP_MEMBERSHIP, &membership, sizeof membership));
  membership.imr_multiaddr.s_addr = htonl(INADDR_LOOPBACK);
  fails("a group that is none", EINVAL,
        setsockopt(receivers[0], IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof membership));
  for (int i = 0; i < 2; i++) close(receivers[i]);
  close(sender);
}

static void run(void) {
  streams();
  datagrams();
  multicast();
  urgent();
}
