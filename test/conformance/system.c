// uname(2), sysinfo(2), getrlimit(2), prlimit(2), getrusage(2), times(2), statfs(2), chroot(2),
// prctl(2).
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/utsname.h>

#include "case.h"

static void limits(void) {
  struct rlimit limit, old;
  works("getrlimit", getrlimit(RLIMIT_NOFILE, &limit));
  check("soft is at most hard", limit.rlim_cur <= limit.rlim_max);
  fails("no such limit", EINVAL, getrlimit(99, &limit));
  struct rlimit lower = {100, 200};
  works("setrlimit", setrlimit(RLIMIT_NOFILE, &lower));
  works("prlimit", prlimit(0, RLIMIT_NOFILE, NULL, &old));
  equals("soft", 100, old.rlim_cur);
  equals("hard", 200, old.rlim_max);
  struct rlimit wrong = {300, 200};
  fails("soft above hard", EINVAL, setrlimit(RLIMIT_NOFILE, &wrong));
  pid_t pid = must(fork());
  if (pid == 0) {
    getrlimit(RLIMIT_NOFILE, &limit);
    _exit(limit.rlim_cur == 100 ? 0 : 1);
  }
  equals("a child inherits", 0, status_of(pid));
  struct rlimit none = {0, 0};
  pid = must(fork());
  if (pid == 0) {
    must(setrlimit(RLIMIT_FSIZE, &none));
    signal(SIGXFSZ, SIG_IGN);
    int fd = open("file", O_WRONLY | O_CREAT, 0600);
    _exit(write(fd, "x", 1) == -1 && errno == EFBIG ? 0 : 1);
  }
  equals("RLIMIT_FSIZE", 0, status_of(pid));
  pid = must(fork());
  if (pid == 0) {
    must(setrlimit(RLIMIT_FSIZE, &none));
    int fd = open("file", O_WRONLY | O_CREAT, 0600);
    write(fd, "x", 1);
    _exit(0);
  }
  equals("and its signal", 128 + SIGXFSZ, status_of(pid));
  pid = must(fork());
  if (pid == 0) {
    struct rlimit second = {1, 1};
    must(setrlimit(RLIMIT_CPU, &second));
    for (;;) {
    }
  }
  int status = status_of(pid);
  check("RLIMIT_CPU ends a loop", status == 128 + SIGXCPU || status == 128 + SIGKILL);
}

static void run(void) {
  struct utsname name;
  works("uname", uname(&name));
  same_text("sysname", "Linux", name.sysname);
  check("release", name.release[0] >= '4');
  char host[65];
  gethostname(host, sizeof host);
  check("nodename is the host's name", strcmp(host, name.nodename) == 0);
  fails("uname() to a bad address", EFAULT, syscall(SYS_uname, 8));
  struct sysinfo info;
  works("sysinfo", sysinfo(&info));
  check("memory", info.totalram > 0 && info.freeram <= info.totalram && info.mem_unit > 0);
  check("uptime", info.uptime >= 0);
  check("processors", get_nprocs() >= 1 && sysconf(_SC_NPROCESSORS_ONLN) >= 1);
  cpu_set_t set;
  works("sched_getaffinity", sched_getaffinity(0, sizeof set, &set));
  check("on some processor", CPU_COUNT(&set) >= 1);
  fails("the processors of nobody", ESRCH, sched_getaffinity(-1, sizeof set, &set));
  fails("a set too small", EINVAL, syscall(SYS_sched_getaffinity, -1, 4, &set));
  works("sched_yield", sched_yield());
  equals("getpriority", 0, getpriority(PRIO_PROCESS, 0) >= -20 ? 0 : 1);
  works("setpriority", setpriority(PRIO_PROCESS, 0, 5));
  equals("is kept", 5, getpriority(PRIO_PROCESS, 0));
  check("page size", sysconf(_SC_PAGESIZE) == 4096);

  in_child("limits", limits);

  struct rusage usage;
  for (volatile int i = 0; i < 30000000; i++) {
  }
  works("getrusage", getrusage(RUSAGE_SELF, &usage));
  check("time", usage.ru_utime.tv_sec > 0 || usage.ru_utime.tv_usec > 0);
  check("memory used", usage.ru_maxrss > 0);
  works("RUSAGE_CHILDREN", getrusage(RUSAGE_CHILDREN, &usage));
  check("children's time", usage.ru_utime.tv_sec > 0 || usage.ru_utime.tv_usec > 0);
  fails("RUSAGE of whom?", EINVAL, getrusage(77, &usage));
  struct tms ticks = {0};
  for (long start = now_ms();
       times(&ticks) != -1 && ticks.tms_utime == 0 && now_ms() - start < 5000;) {
  }
  check("times", times(&ticks) != (clock_t)-1 && ticks.tms_utime > 0);

  struct statfs fs;
  works("statfs", statfs("/", &fs));
  check("blocks", fs.f_bsize > 0 && fs.f_bavail <= fs.f_blocks);
  equals("longest name", 255, fs.f_namelen);
  must(statfs("/proc", &fs));
  equals("/proc", 0x9fa0, fs.f_type);
  fails("statfs() of nothing", ENOENT, statfs("missing", &fs));
  struct statvfs vfs;
  works("statvfs", statvfs(".", &vfs));

  equals("PR_GET_DUMPABLE", 1, prctl(PR_GET_DUMPABLE));
  works("PR_SET_PDEATHSIG", prctl(PR_SET_PDEATHSIG, SIGTERM));
  int signo = 0;
  must(prctl(PR_GET_PDEATHSIG, &signo));
  equals("PR_GET_PDEATHSIG", SIGTERM, signo);
  works("PR_SET_NO_NEW_PRIVS", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  equals("PR_GET_NO_NEW_PRIVS", 1, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  fails("prctl() of what?", EINVAL, prctl(123456789, 0, 0, 0, 0));
  fails("no such call", ENOSYS, syscall(5000));

  if (geteuid() == 0) {
    must(mkdir("jail", 0755));
    write_file("jail/inside", "inside", 0644);
    pid_t pid = must(fork());
    if (pid == 0) {
      works("chroot", chroot("jail"));
      same_text("a path from the root", "inside", read_file("/inside"));
      must(chdir("/"));
      works("the root is its own parent", access("../../../inside", F_OK));
      fails("what is outside", ENOENT, access("/tmp", F_OK));
      _exit(cases_failed ? 1 : 0);
    }
    equals("in the jail", 0, status_of(pid));
    fails("chroot() of a file", ENOTDIR, chroot("jail/inside"));
    fails("chroot() of nothing", ENOENT, chroot("missing"));
  }
}
