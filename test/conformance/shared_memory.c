// MAP_SHARED between processes, memfd_create(2) and its seals, copy-on-write after fork(2).
#include <sys/mman.h>

#include "case.h"

static int* words;

static void run(void) {
  words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int* own = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  *own = 1;
  pid_t pid = must(fork());
  if (pid == 0) {
    __atomic_store_n(words, 7, __ATOMIC_SEQ_CST);
    *own = 2;
    _exit(*own == 2 ? 0 : 1);
  }
  equals("the child ends", 0, status_of(pid));
  equals("the parent sees the child's store", 7, *words);
  equals("private memory is the parent's own", 1, *own);

  *words = 0;
  pid_t pids[4];
  for (int i = 0; i < 4; i++) {
    if ((pids[i] = must(fork())) == 0) {
      for (int n = 0; n < 10000; n++) __atomic_add_fetch(words, 1, __ATOMIC_SEQ_CST);
      _exit(0);
    }
  }
  for (int i = 0; i < 4; i++) status_of(pids[i]);
  equals("atomic adds of four processes", 40000, *words);

  int fd = works("memfd_create", memfd_create("name", MFD_ALLOW_SEALING | MFD_CLOEXEC));
  must(ftruncate(fd, 8192));
  char* map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  strcpy(map + 4096, "through the mapping");
  char text[32] = "";
  must(pread(fd, text, 19, 4096));
  same_text("its mapping and its content agree", "through the mapping", text);
  pid = must(fork());
  if (pid == 0) {
    strcpy(map, "by the child");
    _exit(0);
  }
  status_of(pid);
  same_text("a memfd is shared over fork", "by the child", map);
  equals("no seals yet", 0, fcntl(fd, F_GET_SEALS));
  fails("F_SEAL_WRITE while mapped", EBUSY, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
  must(munmap(map, 8192));
  works("F_ADD_SEALS", fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE));
  fails("write() to a sealed one", EPERM, write(fd, "x", 1));
  fails("shrinking it", EPERM, ftruncate(fd, 0));
  fails("growing it", EPERM, ftruncate(fd, 10000));
  fails("mapping it for writing", EPERM, mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0));
  works("F_SEAL_SEAL", fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
  fails("no more seals", EPERM, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
  fails("memfd_create() with a wrong flag", EINVAL, memfd_create("x", 0x8000000u));

  int file = must(open("file", O_RDWR | O_CREAT, 0600));
  must(ftruncate(file, 4096));
  int* first = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  pid = must(fork());
  if (pid == 0) {
    int again = must(open("file", O_RDWR));
    int* second = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0);
    for (int n = 0; n < 10000; n++) __atomic_add_fetch(second, 1, __ATOMIC_SEQ_CST);
    _exit(0);
  }
  for (int n = 0; n < 10000; n++) __atomic_add_fetch(first, 1, __ATOMIC_SEQ_CST);
  status_of(pid);
  equals("two mappings of one file by two processes", 20000, *first);
}
