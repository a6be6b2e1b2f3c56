// rename(2), renameat2(2), link(2), linkat(2), unlink(2), symlink(2).
#include "case.h"

static void run(void) {
  struct stat info, again;
  write_file("a", "a", 0600);
  write_file("b", "b", 0600);
  works("rename", rename("a", "c"));
  fails("the old name is gone", ENOENT, access("a", F_OK));
  works("rename() replaces", rename("c", "b"));
  same_text("with the new content", "a", read_file("b"));
  fails("rename() of nothing", ENOENT, rename("missing", "x"));
  fails("rename() to below nothing", ENOENT, rename("b", "no/where"));
  works("rename() to itself", rename("b", "b"));

  must(mkdir("dir", 0755));
  must(mkdir("dir/inner", 0755));
  must(mkdir("empty", 0755));
  fails("a directory into itself", EINVAL, rename("dir", "dir/inner/x"));
  fails("a file onto a directory", EISDIR, rename("b", "empty"));
  fails("a directory onto a file", ENOTDIR, rename("dir", "b"));
  fails("a directory onto a full one", ENOTEMPTY, rename("empty", "dir"));
  works("a directory onto an empty one", rename("dir", "empty"));
  works("what was in it moved along", access("empty/inner", F_OK));
  fails("rename() of .", EBUSY, rename("empty/.", "x"));

  fails("RENAME_NOREPLACE", EEXIST, renameat2(AT_FDCWD, "b", AT_FDCWD, "empty", RENAME_NOREPLACE));
  works("RENAME_NOREPLACE to a free name",
        renameat2(AT_FDCWD, "b", AT_FDCWD, "free", RENAME_NOREPLACE));
  write_file("other", "other", 0600);
  works("RENAME_EXCHANGE", renameat2(AT_FDCWD, "free", AT_FDCWD, "other", RENAME_EXCHANGE));
  same_text("after the exchange", "other", read_file("free"));
  fails("RENAME_EXCHANGE with nothing", ENOENT,
        renameat2(AT_FDCWD, "free", AT_FDCWD, "missing", RENAME_EXCHANGE));
  fails("RENAME_EXCHANGE | RENAME_NOREPLACE", EINVAL,
        renameat2(AT_FDCWD, "free", AT_FDCWD, "other", RENAME_EXCHANGE | RENAME_NOREPLACE));

  works("link", link("free", "hard"));
  must(stat("free", &info));
  equals("two links", 2, info.st_nlink);
  fails("link() to an existing name", EEXIST, link("free", "other"));
  fails("link() of a directory", EPERM, link("empty", "hard-dir"));
  fails("link() of nothing", ENOENT, link("missing", "x"));
  works("rename() of one link onto the other", rename("free", "hard"));
  works("does nothing: both stay", access("free", F_OK));
  must(symlink("free", "soft"));
  works("linkat() links the symlink itself", linkat(AT_FDCWD, "soft", AT_FDCWD, "soft2", 0));
  must(lstat("soft2", &info));
  check("it is a symlink", S_ISLNK(info.st_mode));
  works("linkat(AT_SYMLINK_FOLLOW)",
        linkat(AT_FDCWD, "soft", AT_FDCWD, "hard2", AT_SYMLINK_FOLLOW));
  must(lstat("hard2", &info));
  check("it is the file", S_ISREG(info.st_mode));

  int fd = must(open("hard2", O_RDWR));
  works("unlink", unlink("hard2"));
  works("unlink() the second", unlink("hard"));
  works("unlink() the last", unlink("free"));
  must(fstat(fd, &again));
  equals("no links are left", 0, again.st_nlink);
  char text[8] = "";
  equals("its content is still there", 5, pread(fd, text, sizeof text, 0));
  equals("and can be written", 1, pwrite(fd, "!", 1, 5));
  fails("unlink() of nothing", ENOENT, unlink("free"));
  works("unlink() of a dangling symlink", unlink("soft"));
  fails("unlink() with a trailing slash", ENOTDIR, unlink("other/"));

  fails("symlink() over something", EEXIST, symlink("x", "other"));
  fails("symlink() of nothing", ENOENT, symlink("", "empty-link"));
  works("a long symlink", ({
          char target[2001];
          memset(target, 't', 2000);
          target[2000] = '\0';
          symlink(target, "long");
        }));
  must(lstat("long", &info));
  equals("its length", 2000, info.st_size);

  fd = must(open("moved", O_CREAT | O_RDWR, 0600));
  must(write(fd, "content", 7));
  must(rename("moved", "elsewhere"));
  equals("an open file survives its renaming", 7, pread(fd, text, sizeof text, 0));
  must(write(fd, "+", 1));
  same_text("under its new name", "content+", read_file("elsewhere"));
}
