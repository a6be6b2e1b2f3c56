// fork(2), vfork(2), clone(2), _exit(2): what a child shares and what it does not; exit codes.
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "case.h"

static int global = 1;

static int clone_body(void* argument) {
  *(int*)argument = 55;
  return 9;
}

static void run(void) {
  pid_t parent = getpid();
  int ends[2];
  must(pipe(ends));
  int fd = must(open("file", O_RDWR | O_CREAT, 0600));
  must(write(fd, "0123456789", 10));
  must(lseek(fd, 2, SEEK_SET));
  pid_t pid = must(fork());
  if (pid == 0) {
    global = 2;
    check("a child knows its parent", getppid() == parent);
    check("a child has a new pid", getpid() != parent);
    must(lseek(fd, 1, SEEK_CUR));
    must(chdir("/"));
    umask(077);
    _exit(17);
  }
  equals("exit code", 17, status_of(pid));
  equals("memory is copied", 1, global);
  equals("the file offset is shared", 3, lseek(fd, 0, SEEK_CUR));
  equals("the directory is not", 0, access("file", F_OK));
  equals("nor the umask", 022, umask(022));

  pid = must(vfork());
  if (pid == 0) _exit(5);
  equals("vfork", 5, status_of(pid));
  volatile int seen = 0;
  pid = must(vfork());
  if (pid == 0) {
    seen = 1;
    _exit(0);
  }
  equals("vfork() shares memory and waits", 1, seen);
  status_of(pid);

  char* stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int word = 0;
  pid = must(clone(clone_body, stack + 65536, CLONE_VM | SIGCHLD, &word));
  equals("clone(CLONE_VM)", 9, status_of(pid));
  equals("shares memory", 55, word);
  pid = must(clone(clone_body, stack + 65536, SIGCHLD, &word));
  word = 1;
  equals("clone() without CLONE_VM", 9, status_of(pid));
  equals("does not", 1, word);
  pid = must(clone(clone_body, stack + 65536, CLONE_VM, &word));
  fails("a child without exit signal is no ordinary one", ECHILD, waitpid(pid, NULL, 0));
  int status;
  check("__WALL waits for it", waitpid(pid, &status, __WALL) == pid);
  fails("clone(CLONE_SIGHAND) without CLONE_VM", EINVAL,
        clone(clone_body, stack + 65536, CLONE_SIGHAND | SIGCHLD, &word));
  int files = must(dup(0));
  pid = must(fork());
  if (pid == 0) {
    close(files);
    _exit(0);
  }
  status_of(pid);
  works("a child's close() is its own", fcntl(files, F_GETFD));

  pid_t set_tid = 0;
  pid = (pid_t)syscall(SYS_clone, CLONE_PARENT_SETTID | SIGCHLD, 0, &set_tid, 0, 0);
  if (pid == 0) _exit(0);
  check("CLONE_PARENT_SETTID", set_tid == pid);
  status_of(pid);

  for (int code = 0; code < 256; code += 85) {
    pid = must(fork());
    if (pid == 0) _exit(code);
    equals("exit codes are eight bits", code, status_of(pid));
  }
  pid = must(fork());
  if (pid == 0) _exit(0x1234);
  equals("the low eight", 0x34, status_of(pid));
  pid = must(fork());
  if (pid == 0) abort();
  equals("abort", 128 + SIGABRT, status_of(pid));

  // An orphan is adopted by the nearest subreaper.
  must(prctl(PR_SET_CHILD_SUBREAPER, 1));
  pid = must(fork());
  if (pid == 0) {
    if (fork() == 0) {
      pid_t before = getppid();
      must(write(ends[1], "1", 1));
      while (getppid() == before) sleep_ms(1);
      _exit(getppid() == parent ? 33 : 34);
    }
    char byte;
    must(read(ends[0], &byte, 1));
    _exit(0);
  }
  status_of(pid);
  equals("an orphan's new parent is the subreaper", 33, status_of(-1));

  int count = 0;
  for (int i = 0; i < 50; i++) {
    pid = must(fork());
    if (pid == 0) _exit(i);
  }
  int sum = 0;
  while (wait(&status) > 0) {
    count++;
    sum += WEXITSTATUS(status);
  }
  equals("fifty children", 50, count);
  equals("each with its code", 49 * 50 / 2, sum);
  equals("and no more", ECHILD, errno);
}
