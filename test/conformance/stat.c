// stat(2), lstat(2), fstat(2), fstatat(2), statx(2), access(2), faccessat(2), readlink(2).
#include <sys/sysmacros.h>

#include "case.h"

static void run(void) {
  struct stat info, again;
  write_file("file", "twelve bytes", 0644);
  works("stat", stat("file", &info));
  check("it is a regular file", S_ISREG(info.st_mode));
  equals("mode", 0644, info.st_mode & 07777);
  equals("size", 12, info.st_size);
  equals("links", 1, info.st_nlink);
  equals("owner", geteuid(), info.st_uid);
  equals("group", getegid(), info.st_gid);
  check("blocks are plausible", info.st_blocks >= 0 && info.st_blocks <= 64);
  check("block size is a power of two", (info.st_blksize & (info.st_blksize - 1)) == 0);
  check("times are near now", labs(time(NULL) - info.st_mtime) < 100);
  must(link("file", "second"));
  must(stat("second", &again));
  check("a hard link is the same inode",
        again.st_ino == info.st_ino && again.st_dev == info.st_dev);
  equals("two links", 2, again.st_nlink);

  must(symlink("file", "link"));
  must(stat("link", &again));
  check("stat() follows", again.st_ino == info.st_ino);
  works("lstat", lstat("link", &again));
  check("lstat() does not follow", S_ISLNK(again.st_mode));
  equals("a link's size is its target's length", 4, again.st_size);
  equals("a link's mode", 0777, again.st_mode & 07777);
  char target[16];
  equals("readlink", 4, readlink("link", target, sizeof target));
  check("its target", memcmp(target, "file", 4) == 0);
  equals("readlink() cuts", 2, readlink("link", target, 2));
  fails("readlink() of a file", EINVAL, readlink("file", target, sizeof target));
  fails("readlink() into no bytes", EINVAL, readlink("link", target, 0));

  must(mkdir("directory", 0711));
  must(stat("directory", &again));
  check("it is a directory", S_ISDIR(again.st_mode));
  equals("its mode", 0711, again.st_mode & 07777);
  fails("stat() of a missing file", ENOENT, stat("missing", &info));
  fails("stat() below a file", ENOTDIR, stat("file/x", &info));
  fails("stat() to a bad address", EFAULT, stat("file", (struct stat*)8));
  fails("fstat() of a closed descriptor", EBADF, fstat(99, &info));

  int dir = must(open(".", O_RDONLY | O_DIRECTORY));
  works("fstatat", fstatat(dir, "file", &again, 0));
  works("fstatat() of a link itself", fstatat(dir, "link", &again, AT_SYMLINK_NOFOLLOW));
  check("it is the link", S_ISLNK(again.st_mode));
  works("fstatat() of the descriptor itself", fstatat(dir, "", &again, AT_EMPTY_PATH));
  check("it is the directory", S_ISDIR(again.st_mode));
  fails("fstatat() of no path", ENOENT, fstatat(dir, "", &again, 0));
  fails("fstatat() with a wrong flag", EINVAL, fstatat(dir, "file", &again, 0x40000000));

  struct statx more;
  works("statx", statx(AT_FDCWD, "file", 0, STATX_BASIC_STATS, &more));
  equals("statx() size", 12, more.stx_size);
  equals("statx() mode", S_IFREG | 0644, more.stx_mode);
  check("statx() says what it filled", (more.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
  must(stat("file", &info));
  check("statx() and stat() agree", more.stx_ino == info.st_ino && more.stx_nlink == info.st_nlink);
  fails("statx() with a reserved mask", EINVAL, statx(AT_FDCWD, "file", 0, STATX__RESERVED, &more));

  must(stat("/dev/null", &info));
  check("/dev/null is a character device", S_ISCHR(info.st_mode));
  equals("/dev/null: major", 1, major(info.st_rdev));
  equals("/dev/null: minor", 3, minor(info.st_rdev));
  must(mkfifo("fifo", 0600));
  must(stat("fifo", &info));
  check("a fifo", S_ISFIFO(info.st_mode));

  works("access(F_OK)", access("file", F_OK));
  works("access(R_OK | W_OK)", access("file", R_OK | W_OK));
  fails("access(X_OK) of a plain file", EACCES, access("file", X_OK));
  fails("access() of a missing file", ENOENT, access("missing", F_OK));
  fails("access() with a wrong mode", EINVAL, access("file", 8));
  works("faccessat", faccessat(dir, "file", R_OK, 0));
  works("faccessat(AT_EACCESS)", faccessat(dir, "file", R_OK, AT_EACCESS));
}
