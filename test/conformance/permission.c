// chmod(2), chown(2), umask(2), setuid(2) and what path_resolution(7) says on permissions. Needs
// root.
#include <grp.h>
#include <sys/fsuid.h>

#include "case.h"

static void as_user(void) {
  must(setgroups(0, NULL));
  must(setresgid(1000, 1000, 1000));
  must(setresuid(1000, 1000, 1000));
}

static void ordinary_user(void) {
  as_user();
  fails("read without permission", EACCES, open("secret", O_RDONLY));
  works("read with others' permission", open("public", O_RDONLY));
  fails("write without permission", EACCES, open("public", O_WRONLY));
  fails("create in a directory of root", EACCES, open("new", O_CREAT | O_WRONLY, 0600));
  fails("search a closed directory", EACCES, access("closed/file", F_OK));
  fails("list a closed directory", EACCES, open("closed", O_RDONLY));
  works("a file in a directory with only search", open("search/file", O_RDONLY));
  fails("list a directory with only search", EACCES, open("search", O_RDONLY));
  works("group permission", ({
          int group = open("grouped", O_RDONLY);
          group;
        }));
  fails("chmod() of another's file", EPERM, chmod("public", 0777));
  fails("chown() of one's own file", EPERM, chown("mine", 0, -1));
  works("chown() to one's own group", chown("mine", -1, 1000));
  works("chmod() of one's own file", chmod("mine", 04755));
  fails("unlink() in a directory of root", EACCES, unlink("public"));
  fails("unlink() of another's in a sticky directory", EPERM, unlink("sticky/roots"));
  works("create in a sticky directory", open("sticky/mine", O_CREAT | O_WRONLY, 0600));
  works("unlink() of one's own there", unlink("sticky/mine"));
  fails("rename() of another's there", EPERM, rename("sticky/roots", "sticky/x"));
  fails("setuid(0)", EPERM, setuid(0));
  fails("setgid(0)", EPERM, setgid(0));
  fails("setgroups", EPERM, setgroups(0, NULL));
  fails("kill() of root's process", EPERM, kill(getppid(), 0));
  fails("chroot", EPERM, chroot("."));
  fails("sethostname", EPERM, sethostname("x", 1));
  fails("mknod() of a device", EPERM, mknod("sticky/device", S_IFCHR | 0600, 0x103));
  equals("access() as the real user", -1, access("secret", R_OK));
}

static void run(void) {
  if (geteuid() != 0) {
    say("needs root");
    _exit(77);
  }
  struct stat info;
  must(chmod(".", 0755));
  equals("umask() returns the old one", 022, umask(077));
  close(must(open("masked", O_CREAT | O_WRONLY, 0666)));
  must(stat("masked", &info));
  equals("umask 077", 0600, info.st_mode & 07777);
  must(mkdir("masked-dir", 0777));
  must(stat("masked-dir", &info));
  equals("umask 077 of a directory", 0700, info.st_mode & 07777);
  equals("umask() takes permission bits only", 077, umask(07777022));
  equals("of them", 022, umask(0) & 07777);

  write_file("secret", "secret", 0600);
  write_file("public", "public", 0644);
  write_file("mine", "mine", 0644);
  write_file("grouped", "grouped", 0640);
  must(chown("mine", 1000, 1000));
  must(chown("grouped", 0, 1000));
  must(mkdir("closed", 0700));
  write_file("closed/file", "", 0644);
  must(mkdir("search", 0711));
  write_file("search/file", "", 0644);
  must(mkdir("sticky", 0777));
  must(chmod("sticky", 01777));
  write_file("sticky/roots", "", 0666);
  in_child("as an ordinary user", ordinary_user);

  must(stat("mine", &info));
  equals("the owner set the setuid bit", 04755, info.st_mode & 07777);
  must(chown("mine", 0, 0));
  must(stat("mine", &info));
  equals("chown() clears it", 0755, info.st_mode & 07777);
  must(chmod("mine", 06755));
  int fd = must(open("mine", O_WRONLY));
  must(write(fd, "x", 1));
  must(stat("mine", &info));
  equals("root's write keeps setuid and setgid bits", 06755, info.st_mode & 07777);
  works("fchmod", fchmod(fd, 0600));
  works("fchown", fchown(fd, 5, 6));
  must(fstat(fd, &info));
  equals("its owner", 5, info.st_uid);
  equals("its group", 6, info.st_gid);
  works("fchmodat", fchmodat(AT_FDCWD, "mine", 0644, 0));
  must(symlink("mine", "link"));
  works("lchown", lchown("link", 7, 8));
  must(lstat("link", &info));
  equals("the link's owner", 7, info.st_uid);
  must(stat("mine", &info));
  equals("the file's owner stays", 5, info.st_uid);
  fails("chmod() of nothing", ENOENT, chmod("missing", 0600));

  must(mkdir("inherit", 0755));
  must(chown("inherit", 0, 1000));
  must(chmod("inherit", 02755));
  write_file("inherit/file", "", 0644);
  must(mkdir("inherit/dir", 0755));
  must(stat("inherit/file", &info));
  equals("a setgid directory gives its group", 1000, info.st_gid);
  must(stat("inherit/dir", &info));
  equals("a directory also gets the bit", 02755, info.st_mode & 07777);

  uid_t real, effective, saved;
  must(setresuid(-1, 1000, -1));
  must(getresuid(&real, &effective, &saved));
  equals("real", 0, real);
  equals("effective", 1000, effective);
  equals("saved", 0, saved);
  fails("the effective user counts", EACCES, open("secret", O_RDONLY));
  works("access() uses the real one", access("secret", R_OK));
  works("back to root", seteuid(0));
  works("and to a user for ever", setuid(1000));
  fails("no way back", EPERM, setuid(0));
  must(chdir("/"));
  _exit(cases_failed == 0 ? 0 : 1);
}
