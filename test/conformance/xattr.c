// setxattr(2), getxattr(2), listxattr(2), removexattr(2): user attributes.
#include <sys/xattr.h>

#include "case.h"

static void run(void) {
  char value[64];
  write_file("file", "", 0600);
  works("setxattr", setxattr("file", "user.colour", "blue", 4, 0));
  equals("getxattr", 4, getxattr("file", "user.colour", value, sizeof value));
  check("its value", memcmp(value, "blue", 4) == 0);
  equals("getxattr() of the size", 4, getxattr("file", "user.colour", NULL, 0));
  fails("getxattr() into too little", ERANGE, getxattr("file", "user.colour", value, 2));
  fails("a missing attribute", ENODATA, getxattr("file", "user.none", value, sizeof value));
  fails("XATTR_CREATE of an existing one", EEXIST,
        setxattr("file", "user.colour", "x", 1, XATTR_CREATE));
  fails("XATTR_REPLACE of a missing one", ENODATA,
        setxattr("file", "user.none", "x", 1, XATTR_REPLACE));
  works("an empty value", setxattr("file", "user.empty", "", 0, 0));
  char names[256];
  ssize_t length = listxattr("file", names, sizeof names);
  int found = 0;
  for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1) {
    found += strcmp(names + at, "user.colour") == 0 || strcmp(names + at, "user.empty") == 0;
  }
  equals("listxattr() names both", 2, found);
  fails("listxattr() into too little", ERANGE, listxattr("file", names, 3));
  works("removexattr", removexattr("file", "user.colour"));
  fails("removexattr() again", ENODATA, removexattr("file", "user.colour"));
  fails("a name without a namespace", EOPNOTSUPP, setxattr("file", "colour", "x", 1, 0));
  fails("an attribute of nothing", ENOENT, setxattr("missing", "user.x", "x", 1, 0));
  int fd = must(open("file", O_RDWR));
  works("fsetxattr", fsetxattr(fd, "user.fd", "1", 1, 0));
  equals("fgetxattr", 1, fgetxattr(fd, "user.fd", value, sizeof value));
  must(symlink("file", "link"));
  fails("a user attribute of a symlink itself", EPERM, lsetxattr("link", "user.x", "x", 1, 0));
  must(mkdir("dir", 0700));
  works("an attribute of a directory", setxattr("dir", "user.d", "d", 1, 0));
}
