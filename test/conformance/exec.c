// execve(2), execveat(2), fexecve(3) and #! scripts: what survives, errors, argument limits.
#define HAS_ROLES
#include <sys/prctl.h>

#include "case.h"

extern char** environ;
static char self[4096];

static void play_role(void) {
  if (is_role("arguments")) {
    for (int i = 2; program_arguments[i] != NULL; i++)
      say("  argument %d: %s", i, program_arguments[i]);
    for (char** entry = environ; *entry != NULL; entry++) say("  environment: %s", *entry);
    _exit(0);
  }
  if (is_role("descriptors")) {
    say("  3 is %s", fcntl(3, F_GETFD) == -1 ? "closed" : "open");
    say("  4 is %s", fcntl(4, F_GETFD) == -1 ? "closed" : "open");
    _exit(0);
  }
  if (is_role("signals")) {
    struct sigaction action;
    sigset_t mask, pending;
    sigaction(SIGUSR1, NULL, &action);
    say("  a handler is %s", action.sa_handler == SIG_DFL ? "reset" : "kept");
    sigaction(SIGUSR2, NULL, &action);
    say("  ignoring is %s", action.sa_handler == SIG_IGN ? "kept" : "lost");
    sigprocmask(SIG_BLOCK, NULL, &mask);
    say("  the mask is %s", sigismember(&mask, SIGTERM) ? "kept" : "lost");
    sigpending(&pending);
    say("  a pending signal is %s", sigismember(&pending, SIGTERM) ? "kept" : "lost");
    _exit(0);
  }
  if (is_role("pid")) {
    say("  the pid is %s", atoi(program_arguments[2]) == getpid() ? "kept" : "lost");
    char name[17] = "";
    prctl(PR_GET_NAME, name);
    say("  the name is %s", name);
    _exit(0);
  }
  if (is_role("count")) {
    int count = 0;
    size_t bytes = 0;
    for (; program_arguments[count] != NULL; count++) bytes += strlen(program_arguments[count]);
    say("  %d arguments of %zu bytes", count, bytes - strlen(program_arguments[0]));
    _exit(0);
  }
}

static void exec_in_child(const char* name, char* const argv[], char* const env[]) {
  pid_t pid = must(fork());
  if (pid == 0) {
    execve(argv[0], argv, env);
    say("  execve: %s", error_name(errno));
    _exit(126);
  }
  equals(name, 0, status_of(pid));
}

static void run(void) {
  char* none[] = {NULL};
  char* nothing[] = {"x", NULL};
  ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  check("/proc/self/exe", length > 0);

  fails("a missing program", ENOENT, execve("missing", nothing, none));
  write_file("text", "just text", 0644);
  fails("a program without x", EACCES, execve("./text", nothing, none));
  must(chmod("text", 0755));
  fails("text is no program", ENOEXEC, execve("./text", nothing, none));
  fails("a directory", EACCES, execve("/tmp", nothing, none));
  fails("below a file", ENOTDIR, execve("text/x", nothing, none));
  write_file("empty", "", 0755);
  fails("an empty file", ENOEXEC, execve("./empty", nothing, none));
  write_file("bad-elf", "\177ELF but not really, only its first bytes are", 0755);
  fails("a broken ELF file", ENOEXEC, execve("./bad-elf", nothing, none));
  write_file("no-interpreter", "#!/no/such/interpreter\n", 0755);
  fails("a script without its interpreter", ENOENT, execve("./no-interpreter", nothing, none));
  fails("a bad path", EFAULT, execve((char*)8, nothing, none));
  fails("a bad argument", EFAULT, execve(self, (char*[]){self, (char*)8, NULL}, none));

  char* arguments[] = {self, "arguments", "one", "", "three and more", NULL};
  char* environment[] = {"A=1", "EMPTY=", "no equals sign", NULL};
  exec_in_child("arguments and environment", arguments, environment);

  int kept = must(open("text", O_RDONLY));
  int closed = must(open("text", O_RDONLY | O_CLOEXEC));
  check("descriptors 3 and 4", kept == 3 && closed == 4);
  exec_in_child("descriptors", (char*[]){self, "descriptors", NULL}, none);

  pid_t pid = must(fork());
  if (pid == 0) {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    raise(SIGTERM);
    signal(SIGUSR1, (void (*)(int))run);
    signal(SIGUSR2, SIG_IGN);
    execve(self, (char*[]){self, "signals", NULL}, none);
    _exit(126);
  }
  equals("signals", 0, status_of(pid));

  pid = must(fork());
  if (pid == 0) {
    char number[16];
    snprintf(number, sizeof number, "%d", getpid());
    must(symlink(self, "another-name"));
    execve("./another-name", (char*[]){"zero", "pid", number, NULL}, none);
    _exit(126);
  }
  equals("pid", 0, status_of(pid));

  char script[4200];
  snprintf(script, sizeof script, "#!%s arguments with blanks\n", self);
  write_file("script", script, 0755);
  // One argument at most: everything after the first blank, which here is the name of no role.
  snprintf(script, sizeof script, "#! %s\targuments  \nrest\n", self);
  write_file("script2", script, 0755);
  exec_in_child("a script: one argument, then its path, then ours",
                (char*[]){"./script2", "first", "second", NULL}, none);
  snprintf(script, sizeof script, "#!./script2\n");
  write_file("script3", script, 0755);
  exec_in_child("a script of a script", (char*[]){"./script3", "x", NULL}, none);
  write_file("loop", "#!./loop\n", 0755);
  fails("a script of itself", ELOOP, execve("./loop", nothing, none));

  static char* many[5003];
  many[0] = self;
  many[1] = "count";
  for (int i = 2; i < 5002; i++) many[i] = "0123456789012345678";
  exec_in_child("5000 arguments", many, none);
  char* huge = malloc(140000);
  memset(huge, 'h', 139999);
  huge[139999] = '\0';
  fails("one argument of 140000 bytes", E2BIG, execve(self, (char*[]){self, huge, NULL}, none));
  huge[131071] = '\0';
  exec_in_child("one of 131071", (char*[]){self, "count", huge, NULL}, none);

  pid = must(fork());
  if (pid == 0) {
    int fd = must(open(self, O_RDONLY | O_CLOEXEC));
    fexecve(fd, (char*[]){self, "arguments", "by descriptor", NULL}, none);
    _exit(126);
  }
  equals("fexecve", 0, status_of(pid));

  pid = must(vfork());
  if (pid == 0) {
    execve(self, (char*[]){self, "arguments", "after vfork", NULL}, none);
    _exit(126);
  }
  equals("vfork and exec", 0, status_of(pid));
  int writable = must(open("busy", O_WRONLY | O_CREAT, 0755));
  must(write(writable, "x", 1));
  fails("a program open for writing", ETXTBSY, execve("./busy", nothing, none));
}
