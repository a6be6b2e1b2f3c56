// dup(2), dup2(2), dup3(2), fcntl(2), close_range(2): descriptors and what they share.
#include <sys/resource.h>

#include "case.h"

static void run(void) {
  int fd = must(open("file", O_RDWR | O_CREAT, 0600));
  must(write(fd, "0123456789", 10));
  int copy = works("dup", dup(fd));
  must(lseek(fd, 4, SEEK_SET));
  equals("a duplicate shares the offset", 4, lseek(copy, 0, SEEK_CUR));
  int other = must(open("file", O_RDONLY));
  equals("another open() has its own offset", 0, lseek(other, 0, SEEK_CUR));
  equals("dup2() to a chosen number", 42, dup2(fd, 42));
  equals("dup2() to itself", 42, dup2(42, 42));
  fails("dup2() of a closed one", EBADF, dup2(77, 43));
  fails("dup2() of a closed one to itself", EBADF, dup2(77, 77));
  fails("dup2() to a negative number", EBADF, dup2(fd, -1));
  fails("dup3() to itself", EINVAL, dup3(fd, fd, 0));
  fails("dup3() with a wrong flag", EINVAL, dup3(fd, 50, O_APPEND));
  equals("dup3(O_CLOEXEC)", 50, dup3(fd, 50, O_CLOEXEC));
  equals("it closes on exec", FD_CLOEXEC, fcntl(50, F_GETFD));
  equals("dup2() replaces an open one", other, dup2(fd, other));
  equals("dup2() clears close-on-exec", 51, dup2(50, 51));
  equals("it stays open on exec", 0, fcntl(51, F_GETFD));
  fails("dup(-1)", EBADF, dup(-1));

  equals("F_DUPFD takes the next free number", 43, fcntl(fd, F_DUPFD, 42));
  equals("F_DUPFD_CLOEXEC", 60, fcntl(fd, F_DUPFD_CLOEXEC, 60));
  equals("it closes on exec, too", FD_CLOEXEC, fcntl(60, F_GETFD));
  fails("F_DUPFD of a negative number", EINVAL, fcntl(fd, F_DUPFD, -1));
  struct rlimit files;
  must(getrlimit(RLIMIT_NOFILE, &files));
  fails("F_DUPFD beyond the limit", EINVAL, fcntl(fd, F_DUPFD, (int)files.rlim_cur));
  works("F_SETFD", fcntl(fd, F_SETFD, FD_CLOEXEC));
  equals("F_GETFD", FD_CLOEXEC, fcntl(fd, F_GETFD));
  equals("close-on-exec belongs to the number", 0, fcntl(copy, F_GETFD));

  equals("F_GETFL has the access mode", O_RDWR, fcntl(fd, F_GETFL) & O_ACCMODE);
  works("F_SETFL", fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK));
  equals("status flags are shared", O_APPEND | O_NONBLOCK,
         fcntl(copy, F_GETFL) & (O_APPEND | O_NONBLOCK));
  equals("F_SETFL cannot change the access mode", O_RDWR, fcntl(fd, F_GETFL) & O_ACCMODE);
  fails("fcntl() of a closed descriptor", EBADF, fcntl(99, F_GETFD));
  fails("an unknown command", EINVAL, fcntl(fd, 9999));

  must(dup2(fd, 70));
  must(dup2(fd, 71));
  must(dup2(fd, 73));
  works("close_range", close_range(70, 80, 0));
  fails("it closed the first", EBADF, fcntl(70, F_GETFD));
  fails("it closed the last", EBADF, fcntl(73, F_GETFD));
  fails("close_range() the wrong way round", EINVAL, close_range(80, 70, 0));

  struct rlimit few = {20, files.rlim_max};
  for (int i = 3; i < 64; i++) close(i);
  must(setrlimit(RLIMIT_NOFILE, &few));
  int last = -1, next;
  while ((next = open("/dev/null", O_RDONLY)) != -1) last = next;
  equals("RLIMIT_NOFILE: the error", EMFILE, errno);
  equals("RLIMIT_NOFILE: the last descriptor", 19, last);
}
