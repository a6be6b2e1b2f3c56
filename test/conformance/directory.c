// mkdir(2), rmdir(2), getdents64(2), chdir(2), fchdir(2), getcwd(2).
#include <dirent.h>
#include <sys/syscall.h>

#include "case.h"

static int by_name(const void* a, const void* b) {
  return strcmp(*(char* const*)a, *(char* const*)b);
}

static void list(const char* title, const char* path) {
  DIR* stream = opendir(path);
  char* names[64];
  size_t count = 0;
  struct dirent* entry;
  while (stream != NULL && count < 64 && (entry = readdir(stream)) != NULL) {
    char line[300];
    const char* kind = entry->d_type == DT_DIR    ? "dir"
                       : entry->d_type == DT_REG  ? "file"
                       : entry->d_type == DT_LNK  ? "link"
                       : entry->d_type == DT_FIFO ? "fifo"
                                                  : "other";
    snprintf(line, sizeof line, "%s(%s)", entry->d_name, kind);
    names[count++] = strdup(line);
  }
  closedir(stream);
  qsort(names, count, sizeof *names, by_name);
  char all[4096] = "";
  for (size_t i = 0; i < count; i++) strcat(strcat(all, " "), names[i]);
  say("%s:%s", title, all);
}

static void run(void) {
  char start[4096], path[4096];
  must(getcwd(start, sizeof start) == NULL ? -1 : 0);
  works("mkdir", mkdir("a", 0755));
  fails("mkdir() of what exists", EEXIST, mkdir("a", 0755));
  fails("mkdir() below nothing", ENOENT, mkdir("x/y", 0755));
  works("mkdir() with a trailing slash", mkdir("a/b/", 0755));
  fails("rmdir() of a full directory", ENOTEMPTY, rmdir("a"));
  fails("rmdir() of a missing one", ENOENT, rmdir("x"));
  write_file("a/file", "", 0600);
  fails("rmdir() of a file", ENOTDIR, rmdir("a/file"));
  fails("rmdir() of .", EINVAL, rmdir("a/."));
  fails("rmdir() of ..", ENOTEMPTY, rmdir("a/b/.."));
  fails("unlink() of a directory", EISDIR, unlink("a/b"));
  fails("unlinkat(AT_REMOVEDIR) of a file", ENOTDIR, unlinkat(AT_FDCWD, "a/file", AT_REMOVEDIR));
  must(symlink("b", "a/link"));
  must(mkfifo("a/fifo", 0600));
  list("entries", "a");
  struct stat info;
  must(stat("a", &info));
  check("links of a directory: its own, its subdirectory's, or always one",
        info.st_nlink == 3 || info.st_nlink == 1);

  works("chdir", chdir("a/link"));
  must(getcwd(path, sizeof path) == NULL ? -1 : 0);
  strcat(start, "/a/b");
  check("getcwd() has no links", strcmp(path, start) == 0);
  errno = 0;
  check("getcwd() into too little", getcwd(path, 3) == NULL && errno == ERANGE);
  fails("chdir() to a file", ENOTDIR, chdir("../file"));
  fails("chdir() to nothing", ENOENT, chdir("nothing"));
  int up = must(open("..", O_RDONLY));
  works("fchdir", fchdir(up));
  works("a file is here", access("file", F_OK));
  fails("fchdir() to a file", ENOTDIR, fchdir(must(open("file", O_RDONLY))));
  must(chdir(".."));

  must(mkdir("gone", 0755));
  must(chdir("gone"));
  must(rmdir("../gone"));
  errno = 0;
  check("getcwd() of a removed directory", getcwd(path, sizeof path) == NULL && errno == ENOENT);
  fails("open() in a removed directory", ENOENT, open("new", O_CREAT | O_WRONLY, 0600));
  must(fchdir(up));
  must(chdir(".."));

  must(mkdir("many", 0755));
  for (int i = 0; i < 500; i++) {
    snprintf(path, sizeof path, "many/entry-with-a-longer-name-%03d", i);
    close(must(open(path, O_CREAT | O_WRONLY, 0600)));
  }
  int fd = must(open("many", O_RDONLY | O_DIRECTORY));
  char buffer[1024];
  long got, total = 0, reads = 0;
  while ((got = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0) {
    reads++;
    for (long at = 0; at < got; at += ((struct dirent*)(buffer + at))->d_reclen) total++;
  }
  equals("getdents64() in small pieces finds all", 502, total);
  check("in many reads", reads > 10);
  equals("at the end it returns", 0, syscall(SYS_getdents64, fd, buffer, sizeof buffer));
  fails("getdents64() into too little", EINVAL, ({
          must(lseek(fd, 0, SEEK_SET));
          syscall(SYS_getdents64, fd, buffer, 8);
        }));
  fails("getdents64() of a file", ENOTDIR,
        syscall(SYS_getdents64, must(open("a/file", O_RDONLY)), buffer, sizeof buffer));

  DIR* stream = opendir("many");
  long seen = 0, kept = 0;
  struct dirent* entry;
  while ((entry = readdir(stream)) != NULL) {
    if (entry->d_name[0] == '.') continue;
    seen++;
    if (seen % 2 == 0) must(unlinkat(dirfd(stream), entry->d_name, 0));
  }
  equals("removing while reading still shows all", 500, seen);
  rewinddir(stream);
  while ((entry = readdir(stream)) != NULL) kept += entry->d_name[0] != '.';
  equals("rewinddir() shows what is left", 250, kept);
  closedir(stream);
}
