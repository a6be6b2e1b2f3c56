// null(4), full(4), random(4), tty(4), getrandom(2).
#include <sys/mman.h>
#include <sys/random.h>

#include "case.h"

static int same(const char* text, size_t size) {
  for (size_t i = 1; i < size; i++) {
    if (text[i] != text[0]) return 0;
  }
  return 1;
}

static void run(void) {
  char buffer[4096];
  int fd = works("/dev/null", open("/dev/null", O_RDWR));
  equals("takes everything", 4096, write(fd, buffer, sizeof buffer));
  equals("and is empty", 0, read(fd, buffer, sizeof buffer));
  fd = works("/dev/zero", open("/dev/zero", O_RDWR));
  memset(buffer, 1, sizeof buffer);
  equals("reads", 4096, read(fd, buffer, sizeof buffer));
  check("zeroes", buffer[0] == 0 && same(buffer, sizeof buffer));
  equals("takes everything, too", 10, write(fd, buffer, 10));
  char* map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  check("can be mapped", map != MAP_FAILED && map[5] == 0);
  fd = works("/dev/full", open("/dev/full", O_RDWR));
  fails("is full", ENOSPC, write(fd, "x", 1));
  equals("and reads zeroes", 16, read(fd, buffer, 16));
  static const char* const sources[] = {"/dev/random", "/dev/urandom"};
  for (int i = 0; i < 2; i++) {
    fd = works(sources[i], open(sources[i], O_RDONLY));
    memset(buffer, 0, sizeof buffer);
    equals("reads", 256, read(fd, buffer, 256));
    check("noise", !same(buffer, 256));
  }
  memset(buffer, 0, sizeof buffer);
  equals("getrandom", 256, getrandom(buffer, 256, 0));
  check("is noise", !same(buffer, 256));
  equals("getrandom() of a page", 4096, getrandom(buffer, 4096, GRND_NONBLOCK));
  fails("with a wrong flag", EINVAL, getrandom(buffer, 16, 0x100));
  fails("to a bad address", EFAULT, getrandom((void*)8, 16, 0));
  struct stat info;
  static const char* const links[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/fd"};
  for (int i = 0; i < 4; i++) works(links[i], lstat(links[i], &info));
  int ends[2];
  must(pipe(ends));
  must(write(ends[1], "by name", 7));
  snprintf(buffer, sizeof buffer, "/dev/fd/%d", ends[0]);
  fd = works("/dev/fd/N", open(buffer, O_RDONLY));
  equals("is the same pipe", 7, read(fd, buffer, sizeof buffer));
  must(stat("/dev/tty", &info));
  check("/dev/tty is a character device", S_ISCHR(info.st_mode));
  works("/dev/shm", stat("/dev/shm", &info));
  equals("is for all", 01777, info.st_mode & 07777);
}
