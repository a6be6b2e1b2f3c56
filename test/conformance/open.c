// open(2), openat(2), close(2), creat(2): flags, relative directories, errors.
#include "case.h"

static void run(void) {
  fails("open() of a missing file", ENOENT, open("missing", O_RDONLY));
  fails("open() of an empty path", ENOENT, open("", O_RDONLY));
  fails("open() of a bad pointer", EFAULT, open((const char*)8, O_RDONLY));
  int fd = works("open() creates", open("file", O_RDWR | O_CREAT, 0640));
  equals("the lowest free descriptor is used", 3, fd);
  fails("O_EXCL on an existing file", EEXIST, open("file", O_CREAT | O_EXCL, 0600));
  equals("write", 5, write(fd, "hello", 5));
  works("close", close(fd));
  fails("close() twice", EBADF, close(fd));
  fails("close(-1)", EBADF, close(-1));

  struct stat info;
  must(stat("file", &info));
  equals("the mode is what umask leaves", 0640, info.st_mode & 07777);
  fd = must(open("file", O_RDONLY));
  fails("write() on a read-only descriptor", EBADF, write(fd, "x", 1));
  close(fd);
  fd = must(open("file", O_WRONLY));
  char byte;
  fails("read() on a write-only descriptor", EBADF, read(fd, &byte, 1));
  close(fd);

  fd = must(open("file", O_WRONLY | O_TRUNC));
  must(fstat(fd, &info));
  equals("O_TRUNC empties", 0, info.st_size);
  close(fd);
  fd = must(open("file", O_WRONLY | O_APPEND));
  must(write(fd, "one", 3));
  must(lseek(fd, 0, SEEK_SET));
  must(write(fd, "two", 3));
  close(fd);
  same_text("O_APPEND writes at the end", "onetwo", read_file("file"));

  must(mkdir("directory", 0755));
  fails("open() of a directory for writing", EISDIR, open("directory", O_WRONLY));
  fails("O_CREAT of a directory", EISDIR, open("directory", O_RDONLY | O_CREAT, 0600));
  fails("a trailing slash after a new name", EISDIR, open("new/", O_CREAT | O_WRONLY, 0600));
  fails("a trailing slash after a file", ENOTDIR, open("file/", O_RDONLY));
  fails("a file as a directory", ENOTDIR, open("file/below", O_RDONLY));
  fails("O_DIRECTORY of a file", ENOTDIR, open("file", O_RDONLY | O_DIRECTORY));
  int dir = works("O_DIRECTORY of a directory", open("directory", O_RDONLY | O_DIRECTORY));
  fails("read() of a directory", EISDIR, read(dir, &byte, 1));

  fd = works("openat() relative to a directory", openat(dir, "inside", O_CREAT | O_WRONLY, 0600));
  close(fd);
  works("the file is there", access("directory/inside", F_OK));
  fails("openat() with a bad descriptor", EBADF, openat(99, "inside", O_RDONLY));
  int file = must(open("file", O_RDONLY));
  fails("openat() relative to a file", ENOTDIR, openat(file, "inside", O_RDONLY));
  fd = works("an absolute path ignores the descriptor", openat(99, "/tmp", O_RDONLY));
  close(fd);

  must(symlink("file", "link"));
  must(symlink("loop2", "loop1"));
  must(symlink("loop1", "loop2"));
  must(symlink("target", "dangling"));
  fails("O_NOFOLLOW of a symlink", ELOOP, open("link", O_RDONLY | O_NOFOLLOW));
  fails("a loop of symlinks", ELOOP, open("loop1", O_RDONLY));
  fails("a dangling symlink", ENOENT, open("dangling", O_RDONLY));
  fails("O_EXCL of a dangling symlink", EEXIST, open("dangling", O_CREAT | O_EXCL, 0600));
  fd = works("O_CREAT through a dangling symlink", open("dangling", O_CREAT | O_WRONLY, 0600));
  close(fd);
  works("its target was made", access("target", F_OK));

  fd = works("O_PATH", open("file", O_PATH));
  fails("read() of an O_PATH descriptor", EBADF, read(fd, &byte, 1));
  works("fstat() of an O_PATH descriptor", fstat(fd, &info));
  close(fd);
  fd = works("O_PATH | O_NOFOLLOW opens the link", open("link", O_PATH | O_NOFOLLOW));
  must(fstat(fd, &info));
  check("it is a symlink", S_ISLNK(info.st_mode));
  close(fd);

  char name[300];
  memset(name, 'n', sizeof name - 1);
  name[255] = '\0';
  fd = works("a name of 255 bytes", open(name, O_CREAT | O_WRONLY, 0600));
  close(fd);
  name[255] = 'n';
  name[256] = '\0';
  fails("a name of 256 bytes", ENAMETOOLONG, open(name, O_CREAT | O_WRONLY, 0600));
  static char path[5000];
  for (int i = 0; i < 4998; i += 2) memcpy(path + i, "./", 2);
  fails("a path of 4998 bytes", ENAMETOOLONG, open(path, O_RDONLY));
  fd = works("creat", creat("created", 0600));
  equals("creat() is for writing", O_WRONLY, fcntl(fd, F_GETFL) & O_ACCMODE);
}
