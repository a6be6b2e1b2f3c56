// process_vm_readv(2) and process_vm_writev(2); ioprio_set(2).
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "case.h"

static int ready[2];
static int going[2];

// A child with this process's memory as it is now, which waits until the pipe is closed.
static pid_t waiting_child(void) {
  char byte;
  pid_t pid = must(fork());
  if (pid != 0) {
    must(read(ready[0], &byte, 1));
    return pid;
  }
  close(going[1]);
  must(write(ready[1], "", 1));
  must(read(going[0], &byte, 1));
  _exit(0);
}

static void copies(void) {
  static char theirs[3][8] = {"first", "second", "third"};
  must(pipe(ready));
  must(pipe(going));
  pid_t child = waiting_child();
  memset(theirs, 0, sizeof theirs);
  char mine[24] = {0};
  struct iovec local[] = {{mine, 4}, {mine + 4, 20}};
  struct iovec remote[] = {{theirs[2], 8}, {theirs[0], 8}};
  equals("process_vm_readv()", 16, process_vm_readv(child, local, 2, remote, 2, 0));
  same_text("the last first", "third", mine);
  same_text("then the first", "first", mine + 8);
  strcpy(mine, "new");
  equals("process_vm_writev()", 4, process_vm_writev(child, local, 1, remote, 1, 0));
  memset(mine, 0, sizeof mine);
  equals("read again", 8, process_vm_readv(child, local, 2, remote, 1, 0));
  same_text("what was written", "new", mine);
  char* page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct iovec bad[] = {{theirs[0], 8}, {page, 8}};
  equals("as far as there is memory", 8, process_vm_readv(child, local, 2, bad, 2, 0));
  fails("none at all", EFAULT, process_vm_readv(child, local, 2, bad + 1, 1, 0));
  fails("a bad list", EFAULT, process_vm_readv(child, local, 2, (void*)8, 1, 0));
  fails("flags", EINVAL, process_vm_readv(child, local, 2, remote, 1, 1));
  fails("too many parts", EINVAL, process_vm_readv(child, local, 2, remote, 1025, 0));
  equals("nothing", 0, process_vm_readv(child, local, 0, remote, 1, 0));
  close(going[1]);
  equals("the child", 0, status_of(child));
  fails("a process that is gone", ESRCH, process_vm_readv(child, local, 2, remote, 1, 0));
}

static long get_priority(int which, int who) { return syscall(SYS_ioprio_get, which, who); }
static long set_priority(int which, int who, int value) {
  return syscall(SYS_ioprio_set, which, who, value);
}

static void priorities(void) {
  enum { kProcess = 1, kGroup = 2, kBestEffort = 2 << 13, kIdle = 3 << 13 };
  equals("no priority of its own", 0, get_priority(kProcess, 0));
  works("the lowest of best effort", set_priority(kProcess, 0, kBestEffort | 7));
  equals("is kept", kBestEffort | 7, get_priority(kProcess, 0));
  fails("a class there is not", EINVAL, set_priority(kProcess, 0, 4 << 13));
  fails("a level without a class", EINVAL, set_priority(kProcess, 0, 1));
  works("idle", set_priority(kProcess, 0, kIdle));
  pid_t child = must(fork());
  if (child == 0) _exit(get_priority(kProcess, 0) == kIdle ? 0 : 1);
  equals("a child has it, too", 0, status_of(child));
  fails("nobody", ESRCH, get_priority(kProcess, child));
  fails("neither process nor group nor user", EINVAL, get_priority(4, 0));
}

static void run(void) {
  copies();
  priorities();
}
