// proc(5): what a process sees of itself and of others.
#include <dirent.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "case.h"

static long field(const char* text, const char* name) {
  char key[64];
  snprintf(key, sizeof key, "\n%s:", name);
  const char* at = strstr(text, key);
  return at == NULL ? -1 : strtol(at + strlen(key), NULL, 0);
}

// What /proc/self/smaps says of the mapping at this address, in kB; -1: nothing.
static long smaps_of(const void* at, const char* name) {
  FILE* smaps = fopen("/proc/self/smaps", "r");
  char line[512];
  int here = 0;
  long value = -1;
  while (smaps != NULL && value == -1 && fgets(line, sizeof line, smaps) != NULL) {
    unsigned long from, to;
    if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
      here = from <= (unsigned long)at && (unsigned long)at < to;
    } else if (here && strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':') {
      value = atol(line + strlen(name) + 1);
    }
  }
  if (smaps != NULL) fclose(smaps);
  return value;
}

static void run(void) {
  char path[4096], target[4096];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  path[length > 0 ? length : 0] = '\0';
  const char* slash = strrchr(path, '/');
  same_text("/proc/self/exe", "/proc", slash == NULL ? path : slash);
  length = readlink("/proc/self", path, sizeof path - 1);
  path[length > 0 ? length : 0] = '\0';
  check("/proc/self", atoi(path) == getpid());
  length = readlink("/proc/thread-self", path, sizeof path - 1);
  path[length > 0 ? length : 0] = '\0';
  char expected[4096];
  snprintf(expected, sizeof expected, "%d/task/%d", getpid(), getpid());
  check("/proc/thread-self", strcmp(path, expected) == 0);
  length = readlink("/proc/self/cwd", path, sizeof path - 1);
  path[length > 0 ? length : 0] = '\0';
  getcwd(target, sizeof target);
  check("/proc/self/cwd", strcmp(path, target) == 0);
  length = readlink("/proc/self/root", path, sizeof path - 1);
  path[length > 0 ? length : 0] = '\0';
  same_text("/proc/self/root", "/", path);

  const char* text = read_file("/proc/self/cmdline");
  check("/proc/self/cmdline", strcmp(text, program_arguments[0]) == 0);
  same_text("/proc/self/comm", "proc\n", read_file("/proc/self/comm"));
  prctl(PR_SET_NAME, "a name that is too long");
  same_text("PR_SET_NAME", "a name that is \n", read_file("/proc/self/comm"));
  write_file("/proc/self/comm", "written", 0);
  same_text("/proc/self/comm can be written", "written\n", read_file("/proc/self/comm"));

  text = read_file("/proc/self/stat");
  char state, name[64];
  int pid, parent, group, session;
  int fields =
      sscanf(text, "%d (%63[^)]) %c %d %d %d", &pid, name, &state, &parent, &group, &session);
  equals("/proc/self/stat", 6, fields);
  check("its fields",
        pid == getpid() && parent == getppid() && group == getpgrp() && session == getsid(0));
  same_text("its name", "written", name);
  equals("its state", 'R', state);
  int words = 1;
  for (const char* at = strrchr(text, ')'); *at != '\0'; at++) words += *at == ' ';
  equals("its number of fields", 51, words);

  text = read_file("/proc/self/status");
  check("/proc/self/status: Name", strncmp(text, "Name:\twritten\n", 14) == 0);
  check("Pid", field(text, "Pid") == getpid());
  check("PPid", field(text, "PPid") == getppid());
  check("Tgid", field(text, "Tgid") == getpid());
  check("Uid", field(text, "Uid") == (long)getuid());
  equals("Threads", 1, field(text, "Threads"));
  check("VmRSS", field(text, "VmRSS") > 0);
  check("VmSize", field(text, "VmSize") > 0);
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR1);
  sigprocmask(SIG_BLOCK, &mask, NULL);
  signal(SIGTERM, SIG_IGN);
  raise(SIGUSR1);
  text = read_file("/proc/self/status");
  const char* blocked = strstr(text, "SigBlk:");
  equals("SigBlk", 0x200, blocked == NULL ? -1 : (long)strtoul(blocked + 7, NULL, 16));
  const char* pending = strstr(text, "ShdPnd:");
  const char* own = strstr(text, "SigPnd:");
  check("SigPnd", pending != NULL && own != NULL &&
                      (strtoul(pending + 7, NULL, 16) | strtoul(own + 7, NULL, 16)) == 0x200);
  const char* ignored = strstr(text, "SigIgn:");
  check("SigIgn", ignored != NULL && (strtoul(ignored + 7, NULL, 16) & 0x4000) != 0);

  char* map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  must(mprotect(map, 4096, PROT_READ));
  int file = must(open("mapped", O_RDWR | O_CREAT, 0600));
  must(ftruncate(file, 4096));
  char* mapped = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);
  FILE* maps = fopen("/proc/self/maps", "r");
  int found = 0, stack = 0, heap = 0, executable = 0;
  free(malloc(100000));
  char line[512];
  while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
    unsigned long from, to;
    char access[5];
    if (sscanf(line, "%lx-%lx %4s", &from, &to, access) != 3) continue;
    if (from <= (unsigned long)map && (unsigned long)map < to) found |= strcmp(access, "r--p") == 0;
    if (from <= (unsigned long)(map + 4096) && (unsigned long)(map + 4096) < to) {
      found |= strcmp(access, "rw-p") == 0 ? 2 : 0;
    }
    if (from == (unsigned long)mapped)
      found |= strstr(line, "r--s") && strstr(line, "/mapped\n") ? 4 : 0;
    stack |= strstr(line, "[stack]") != NULL && from <= (unsigned long)&line &&
             (unsigned long)&line < to;
    heap |= strstr(line, "[heap]") != NULL;
    executable |=
        strstr(line, "r-xp") != NULL && from <= (unsigned long)run && (unsigned long)run < to;
  }
  equals("/proc/self/maps: our mappings", 7, found);
  equals("the stack", 1, stack);
  equals("the heap", 1, heap);
  equals("the program", 1, executable);

  // A page of a mapping of its own, between others of another protection.
  char* page = mmap(NULL, 3 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 4096;
  must(mprotect(page, 4096, PROT_READ | PROT_WRITE));
  equals("smaps: a page that was never touched", 0, smaps_of(page, "Rss"));
  page[0] = 1;
  equals("one that is written to", 4, smaps_of(page, "Private_Dirty"));
  equals("is ours alone", 0, smaps_of(page, "Shared_Dirty"));
  equals("and anonymous", 4, smaps_of(page, "Anonymous"));
  pid_t sharer = must(fork());
  if (sharer == 0) _exit((int)smaps_of(page, "Shared_Dirty"));
  equals("until there is a child", 4, status_of(sharer));

  int fds = 0, strange = 0;
  DIR* directory = opendir("/proc/self/fd");
  struct dirent* entry;
  while (directory != NULL && (entry = readdir(directory)) != NULL) {
    if (entry->d_name[0] == '.') continue;
    fds++;
    strange += fcntl(atoi(entry->d_name), F_GETFD) == -1;
  }
  check("/proc/self/fd lists", fds >= 4);
  equals("only open ones", 0, strange);
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  length = readlink(path, target, sizeof target - 1);
  target[length > 0 ? length : 0] = '\0';
  check("a link to the file", strstr(target, "/mapped") != NULL);
  int again = works("opening it anew", open(path, O_RDONLY));
  struct stat one, two;
  must(fstat(file, &one));
  must(fstat(again, &two));
  check("is the same file", one.st_ino == two.st_ino);
  must(unlink("mapped"));
  length = readlink(path, target, sizeof target - 1);
  check("after unlink", length > 10 && memcmp(target + length - 10, " (deleted)", 10) == 0);
  int ends[2];
  must(pipe(ends));
  snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
  length = readlink(path, target, sizeof target - 1);
  check("a pipe's link", length > 6 && memcmp(target, "pipe:[", 6) == 0);
  fails("a closed one", ENOENT, readlink("/proc/self/fd/99", target, sizeof target));

  pid_t child = must(fork());
  if (child == 0) {
    for (;;) pause();
  }
  snprintf(path, sizeof path, "/proc/%d/status", child);
  check("a child's parent", field(read_file(path), "PPid") == getpid());
  kill(child, SIGKILL);
  siginfo_t info;
  must(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT));
  check("a zombie", strstr(read_file(path), "State:\tZ") != NULL);
  status_of(child);
  fails("a process that is gone", ENOENT, open(path, O_RDONLY));
  fails("no such process", ENOENT, open("/proc/99999999", O_RDONLY));

  check("/proc/meminfo", strncmp(read_file("/proc/meminfo"), "MemTotal:", 9) == 0);
  check("/proc/cpuinfo", strstr(read_file("/proc/cpuinfo"), "processor\t: 0") != NULL);
  check("/proc/version", strncmp(read_file("/proc/version"), "Linux version ", 14) == 0);
  check("/proc/uptime", atof(read_file("/proc/uptime")) > 0);
  check("/proc/loadavg", strchr(read_file("/proc/loadavg"), '/') != NULL);
  check("/proc/stat", strncmp(read_file("/proc/stat"), "cpu ", 4) == 0);
  check("/proc/filesystems", strstr(read_file("/proc/filesystems"), "proc") != NULL);
  check("/proc/mounts", strstr(read_file("/proc/mounts"), " / ") != NULL);
  check("/proc/sys/kernel/ostype", strcmp(read_file("/proc/sys/kernel/ostype"), "Linux\n") == 0);
  fails("/proc cannot be written", ENOENT,
        mkdir("/proc/x", 0755) == -1 && (errno == ENOENT || errno == EPERM || errno == EACCES)
            ? (errno = ENOENT, -1)
            : 0);
}
