// flock(2), fcntl(2) record locks and open file description locks.
#include <sys/file.h>

#include "case.h"

static int lock(int fd, int command, short type, off_t start, off_t length) {
  struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
  return fcntl(fd, command, &range);
}

static void run(void) {
  int fd = must(open("file", O_RDWR | O_CREAT, 0600));
  int other = must(open("file", O_RDWR));
  works("LOCK_EX", flock(fd, LOCK_EX));
  fails("another description", EWOULDBLOCK, flock(other, LOCK_EX | LOCK_NB));
  fails("even shared", EWOULDBLOCK, flock(other, LOCK_SH | LOCK_NB));
  works("a duplicate shares it", flock(must(dup(fd)), LOCK_EX | LOCK_NB));
  works("to shared", flock(fd, LOCK_SH));
  works("both share", flock(other, LOCK_SH | LOCK_NB));
  fails("neither can have it alone", EWOULDBLOCK, flock(other, LOCK_EX | LOCK_NB));
  works("LOCK_UN", flock(fd, LOCK_UN));
  fails("a wrong operation", EINVAL, flock(fd, 77));
  must(flock(other, LOCK_UN));
  must(flock(fd, LOCK_EX));
  pid_t pid = must(fork());
  if (pid == 0) {
    int own = must(open("file", O_RDWR));
    _exit(flock(own, LOCK_EX) == 0 ? 0 : 1);
  }
  sleep_ms(40);
  int status;
  equals("a child waits", 0, waitpid(pid, &status, WNOHANG));
  must(flock(fd, LOCK_UN));
  equals("until it is free", 0, status_of(pid));

  works("F_SETLK", lock(fd, F_SETLK, F_WRLCK, 10, 10));
  works("a process does not lock itself out", lock(other, F_SETLK, F_WRLCK, 10, 10));
  must(lock(fd, F_SETLK, F_WRLCK, 10, 10));
  pid = must(fork());
  if (pid == 0) {
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
    fails("another process", EAGAIN, lock(fd, F_SETLK, F_WRLCK, 15, 1));
    works("another range", lock(fd, F_SETLK, F_WRLCK, 20, 5));
    works("F_GETLK", fcntl(fd, F_GETLK, &range));
    check("tells who", range.l_pid == getppid());
    equals("from", 10, range.l_start);
    equals("length", 10, range.l_len);
    _exit(cases_failed ? 1 : 0);
  }
  equals("in the child", 0, status_of(pid));
  works("its locks ended with it", lock(fd, F_SETLK, F_WRLCK, 0, 0));
  close(other);
  pid = must(fork());
  if (pid == 0) _exit(lock(fd, F_SETLK, F_WRLCK, 0, 0) == 0 ? 0 : 1);
  equals("any close() of the file gave ours up", 0, status_of(pid));
  must(lock(fd, F_SETLK, F_WRLCK, 0, 1));
  int held[2];
  must(pipe(held));
  pid = must(fork());
  if (pid == 0) {
    must(lock(fd, F_SETLK, F_WRLCK, 5, 1));
    must(write(held[1], "x", 1));
    int waited = lock(fd, F_SETLKW, F_WRLCK, 0, 1);
    _exit(waited == 0 ? 0 : errno == EDEADLK ? 2 : 1);
  }
  char byte;
  must(read(held[0], &byte, 1));
  sleep_ms(40);
  // Whoever comes second sees it: the child, when it was kept from running for so long.
  errno = 0;
  int seen = lock(fd, F_SETLKW, F_WRLCK, 5, 1) == -1 && errno == EDEADLK;
  must(lock(fd, F_SETLK, F_UNLCK, 0, 1));
  equals("a deadlock is seen, and the other goes on", seen ? 0 : 2, status_of(pid));

  int first = must(open("file", O_RDWR)), second = must(open("file", O_RDWR));
  works("F_OFD_SETLK", lock(first, F_OFD_SETLK, F_WRLCK, 0, 0));
  fails("another description in one process", EAGAIN, lock(second, F_OFD_SETLK, F_WRLCK, 0, 0));
  close(first);
  works("freed with its last descriptor", lock(second, F_OFD_SETLK, F_WRLCK, 0, 0));
  int reading = must(open("file", O_RDONLY));
  fails("a write lock needs writing", EBADF, lock(reading, F_SETLK, F_WRLCK, 0, 0));
}
