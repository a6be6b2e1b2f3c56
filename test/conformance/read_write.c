// read(2), write(2), lseek(2), pread(2), pwrite(2), readv(2), writev(2), preadv2(2).
#include <sys/uio.h>

#include "case.h"

static void run(void) {
  char buffer[64];
  int fd = must(open("file", O_RDWR | O_CREAT, 0600));
  equals("write", 10, write(fd, "0123456789", 10));
  equals("read() at the end", 0, read(fd, buffer, sizeof buffer));
  equals("lseek(SEEK_SET)", 2, lseek(fd, 2, SEEK_SET));
  equals("read", 3, read(fd, buffer, 3));
  check("the bytes read", memcmp(buffer, "234", 3) == 0);
  equals("lseek(SEEK_CUR)", 4, lseek(fd, -1, SEEK_CUR));
  equals("lseek(SEEK_END)", 7, lseek(fd, -3, SEEK_END));
  equals("a short read before the end", 3, read(fd, buffer, sizeof buffer));
  fails("lseek() before the start", EINVAL, lseek(fd, -1, SEEK_SET));
  fails("lseek() with a wrong whence", EINVAL, lseek(fd, 0, 99));
  fails("lseek() of a closed descriptor", EBADF, lseek(99, 0, SEEK_SET));
  equals("a read of no bytes", 0, read(fd, buffer, 0));
  fails("read() to a bad address", EFAULT, pread(fd, (void*)8, 4, 0));
  fails("write() from a bad address", EFAULT, write(fd, (void*)8, 4));

  equals("pwrite", 2, pwrite(fd, "AB", 2, 4));
  equals("pread", 4, pread(fd, buffer, 4, 3));
  check("pread() sees what pwrite() wrote", memcmp(buffer, "3AB6", 4) == 0);
  equals("neither moves the offset", 10, lseek(fd, 0, SEEK_CUR));
  fails("pread() at a negative offset", EINVAL, pread(fd, buffer, 1, -1));

  equals("lseek() past the end", 5000, lseek(fd, 5000, SEEK_SET));
  equals("write() past the end", 1, write(fd, "z", 1));
  equals("the hole reads as", 4, pread(fd, buffer, 4, 100));
  check("zeroes", memcmp(buffer, "\0\0\0\0", 4) == 0);
  equals("lseek(SEEK_DATA)", 0, lseek(fd, 0, SEEK_DATA));
  fails("lseek(SEEK_DATA) at the end", ENXIO, lseek(fd, 5001, SEEK_DATA));
  equals("lseek(SEEK_HOLE) in the last block", 5001, lseek(fd, 5000, SEEK_HOLE));

  must(ftruncate(fd, 0));
  must(lseek(fd, 0, SEEK_SET));
  struct iovec out[3] = {{"one ", 4}, {"", 0}, {"two", 3}};
  equals("writev", 7, writev(fd, out, 3));
  char first[3], second[10];
  struct iovec in[2] = {{first, 3}, {second, 10}};
  must(lseek(fd, 0, SEEK_SET));
  equals("readv", 7, readv(fd, in, 2));
  check("readv() scatters", memcmp(first, "one", 3) == 0 && memcmp(second, " two", 4) == 0);
  equals("preadv", 4, preadv(fd, in, 2, 3));
  equals("pwritev", 7, pwritev(fd, out, 3, 1));
  equals("preadv2() at the current offset", 1, preadv2(fd, in, 2, -1, 0));
  fails("readv() with too many", EINVAL, readv(fd, in, 1025));
  fails("writev() with a negative count", EINVAL, writev(fd, out, -1));
  equals("writev() of none", 0, writev(fd, out, 0));
  struct iovec bad[2] = {{"ok", 2}, {(void*)8, 4}};
  check("writev() with a bad second buffer writes the first or fails",
        writev(fd, bad, 2) == 2 || errno == EFAULT);
  struct iovec huge[2] = {{buffer, 1}, {buffer, SIZE_MAX}};
  fails("readv() of a negative length", EINVAL, readv(fd, huge, 2));

  static char large[300000], back[300000];
  for (size_t i = 0; i < sizeof large; i++) large[i] = (char)(i * 7 + i / 251);
  fd = must(open("large", O_RDWR | O_CREAT, 0600));
  equals("a write of 300000 bytes", sizeof large, write(fd, large, sizeof large));
  equals("a read of 300000 bytes", sizeof back, pread(fd, back, sizeof back, 0));
  check("the same bytes", memcmp(large, back, sizeof large) == 0);
  works("fsync", fsync(fd));
  works("fdatasync", fdatasync(fd));
  fails("fsync() of a closed descriptor", EBADF, fsync(99));
  fails("lseek() of a pipe", ESPIPE, ({
          int ends[2];
          must(pipe(ends));
          lseek(ends[0], 0, SEEK_SET);
        }));
  fails("pread() of a pipe", ESPIPE, ({
          int ends[2];
          must(pipe(ends));
          pread(ends[0], buffer, 1, 0);
        }));
}
