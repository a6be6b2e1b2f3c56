// ftruncate(2), fallocate(2), readahead(2), sendfile(2), splice(2), tee(2), copy_file_range(2),
// O_TMPFILE, utimensat(2).
#include <sys/sendfile.h>
#include <sys/time.h>

#include "case.h"

static void run(void) {
  struct stat info;
  char text[256];
  int fd = must(open("file", O_RDWR | O_CREAT, 0600));
  must(write(fd, "0123456789", 10));
  works("ftruncate() shortens", ftruncate(fd, 4));
  works("ftruncate() lengthens", ftruncate(fd, 8));
  equals("read", 8, pread(fd, text, sizeof text, 0));
  check("with zeroes", memcmp(text, "0123\0\0\0\0", 8) == 0);
  fails("a negative length", EINVAL, ftruncate(fd, -1));
  works("truncate", truncate("file", 10));
  fails("truncate() of a directory", EISDIR, truncate(".", 10));
  fails("ftruncate() of a read-only descriptor", EINVAL,
        ftruncate(must(open("file", O_RDONLY)), 1));

  works("fallocate", fallocate(fd, 0, 0, 10000));
  must(fstat(fd, &info));
  equals("its size", 10000, info.st_size);
  works("FALLOC_FL_KEEP_SIZE", fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 50000));
  must(fstat(fd, &info));
  equals("keeps it", 10000, info.st_size);
  works("FALLOC_FL_PUNCH_HOLE", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 3));
  must(pread(fd, text, 4, 0));
  check("leaves zeroes", memcmp(text,
                                "\0\0\0"
                                "3",
                                4) == 0);
  fails("of nothing", EINVAL, fallocate(fd, 0, 0, 0));
  equals("posix_fadvise", 0, posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
  works("readahead", readahead(fd, 0, 4096));
  fails("readahead() of a directory", EINVAL, readahead(must(open(".", O_RDONLY)), 0, 4096));
  fails("readahead() without the right to read", EBADF,
        readahead(must(open("file", O_WRONLY)), 0, 4096));

  write_file("source", "the source's bytes", 0600);
  int source = must(open("source", O_RDONLY));
  int target = must(open("target", O_RDWR | O_CREAT, 0600));
  off_t offset = 4;
  equals("sendfile", 6, sendfile(target, source, &offset, 6));
  equals("moves the offset given", 10, offset);
  equals("not the file's", 0, lseek(source, 0, SEEK_CUR));
  equals("sendfile() at the file's offset", 18, sendfile(target, source, NULL, 100));
  same_text("what arrived", "sourcethe source's bytes", read_file("target"));
  int ends[2];
  must(pipe(ends));
  offset = 0;
  equals("sendfile() to a pipe", 3, sendfile(ends[1], source, &offset, 3));
  must(read(ends[0], text, 3));
  fails("sendfile() from a pipe", EINVAL, sendfile(target, ends[0], NULL, 3));
  loff_t from = 4, to = 0;
  equals("copy_file_range", 6, copy_file_range(source, &from, target, &to, 6, 0));
  fails("with a flag", EINVAL, copy_file_range(source, &from, target, &to, 6, 1));
  from = 4;
  equals("splice() to a pipe", 8, splice(source, &from, ends[1], NULL, 8, 0));
  int second[2];
  must(pipe(second));
  equals("tee", 8, tee(ends[0], second[1], 100, 0));
  must(ftruncate(target, 0));
  to = 0;
  equals("splice() from a pipe", 8, splice(ends[0], NULL, target, &to, 100, 0));
  equals("the copy is still there", 8, read(second[0], text, sizeof text));
  same_text("spliced", "source's", read_file("target"));
  fails("splice() without a pipe", EINVAL, splice(source, NULL, target, NULL, 1, 0));

  int hidden = works("O_TMPFILE", open(".", O_TMPFILE | O_RDWR, 0600));
  must(write(hidden, "hidden", 6));
  must(fstat(hidden, &info));
  equals("has no name", 0, info.st_nlink);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", hidden);
  works("linkat() gives it one", linkat(AT_FDCWD, path, AT_FDCWD, "shown", AT_SYMLINK_FOLLOW));
  same_text("its content", "hidden", read_file("shown"));
  fails("O_TMPFILE for reading", EINVAL, open(".", O_TMPFILE | O_RDONLY, 0600));

  struct timespec times[2] = {{1000000000, 123456789}, {1100000000, 987654321}};
  works("utimensat", utimensat(AT_FDCWD, "source", times, 0));
  must(stat("source", &info));
  equals("access time", 1000000000, info.st_atim.tv_sec);
  equals("its nanoseconds", 123456789, info.st_atim.tv_nsec);
  equals("modification time", 1100000000, info.st_mtim.tv_sec);
  times[0].tv_nsec = UTIME_OMIT;
  times[1].tv_nsec = UTIME_NOW;
  works("UTIME_OMIT and UTIME_NOW", utimensat(AT_FDCWD, "source", times, 0));
  must(stat("source", &info));
  equals("omitted", 1000000000, info.st_atim.tv_sec);
  check("now", labs(time(NULL) - info.st_mtim.tv_sec) < 100);
  times[0].tv_nsec = 1000000000;
  fails("a wrong time", EINVAL, utimensat(AT_FDCWD, "source", times, 0));
  must(symlink("source", "link"));
  times[0] = times[1] = (struct timespec){5, 0};
  works("AT_SYMLINK_NOFOLLOW", utimensat(AT_FDCWD, "link", times, AT_SYMLINK_NOFOLLOW));
  must(lstat("link", &info));
  equals("the link's time", 5, info.st_mtim.tv_sec);
  works("futimens", futimens(source, times));
  must(stat("source", &info));
  equals("by descriptor", 5, info.st_mtim.tv_sec);
  must(lstat(".", &info));
  time_t before = info.st_mtim.tv_sec;
  must(futimens(must(open(".", O_RDONLY)), times));
  write_file("makes-a-change", "", 0600);
  must(lstat(".", &info));
  check("a new name changes the directory's time", info.st_mtim.tv_sec >= before);
  must(stat("source", &info));
  struct timespec changed = info.st_ctim;
  sleep_ms(20);
  must(chmod("source", 0640));
  must(stat("source", &info));
  check("chmod() changes the change time only",
        (info.st_ctim.tv_sec > changed.tv_sec || info.st_ctim.tv_nsec > changed.tv_nsec) &&
            info.st_mtim.tv_sec == 5);
}
