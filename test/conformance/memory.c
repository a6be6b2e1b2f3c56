// mmap(2), munmap(2), mprotect(2), mremap(2), madvise(2), brk(2), mincore(2), msync(2).
#include <setjmp.h>
#include <sys/mman.h>

#include "case.h"

#define PAGE 4096UL

static sigjmp_buf fault;
static volatile int fault_signal;

static void on_fault(int signo) {
  fault_signal = signo;
  siglongjmp(fault, 1);
}

// Which signal reading (or writing) this byte raises; 0 for none.
static int touch(volatile char* at, int writing) {
  fault_signal = 0;
  if (sigsetjmp(fault, 1) == 0) {
    if (writing) {
      *at = 'w';
    } else {
      (void)*at;
    }
  }
  return fault_signal;
}

// A function that returns `value`.
static void write_code(char* at, unsigned char value) {
#if defined(__x86_64__)
  const unsigned char code[] = {0xb8, value, 0, 0, 0, 0xc3};  // mov $value, %eax; ret
#elif defined(__aarch64__)
  const unsigned code[] = {0x52800000 | value << 5, 0xd65f03c0};  // mov w0, #value; ret
#endif
  memcpy(at, code, sizeof code);
  __builtin___clear_cache(at, at + sizeof code);
}

static void run(void) {
  struct sigaction action = {.sa_handler = on_fault};
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);

  char* map = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  check("anonymous memory", map != MAP_FAILED);
  check("is page-aligned", ((uintptr_t)map & (PAGE - 1)) == 0);
  int zero = 1;
  for (size_t i = 0; i < 8 * PAGE; i++) zero &= map[i] == 0;
  check("and zeroed", zero);
  works("mprotect(PROT_READ)", mprotect(map + PAGE, PAGE, PROT_READ));
  equals("reading it", 0, touch(map + PAGE, 0));
  equals("writing it", SIGSEGV, touch(map + PAGE, 1));
  equals("writing the page before", 0, touch(map + PAGE - 1, 1));
  works("mprotect(PROT_NONE)", mprotect(map + 2 * PAGE, PAGE, PROT_NONE));
  equals("reading no access", SIGSEGV, touch(map + 2 * PAGE, 0));
  works("munmap() in the middle", munmap(map + 3 * PAGE, PAGE));
  equals("reading the hole", SIGSEGV, touch(map + 3 * PAGE, 0));
  works("munmap() of the hole", munmap(map + 3 * PAGE, PAGE));
  fails("mprotect() of the hole", ENOMEM, mprotect(map + 3 * PAGE, PAGE, PROT_READ));
  fails("munmap() unaligned", EINVAL, munmap(map + 1, PAGE));
  fails("munmap() of nothing", EINVAL, munmap(map, 0));
  works("mprotect(PROT_SEM)", mprotect(map, PAGE, PROT_READ | PROT_WRITE | 0x8));
  fails("mprotect() with an unknown protection", EINVAL, mprotect(map, PAGE, PROT_READ | 0x40));
  fails("mprotect(PROT_GROWSDOWN) of what cannot grow", EINVAL,
        mprotect(map, PAGE, PROT_READ | PROT_GROWSDOWN));
  check("mmap() ignores unknown protections",
        mmap(NULL, PAGE, PROT_READ | 0x40, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
  fails("mprotect() unaligned", EINVAL, mprotect(map + 1, PAGE, PROT_READ));
  fails("mmap() of nothing", EINVAL, mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  fails("mmap() neither private nor shared", EINVAL,
        mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0));
  fails("mmap() of a bad descriptor", EBADF, mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0));

  char* fixed = mmap(map + 3 * PAGE, PAGE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  check("MAP_FIXED fills the hole", fixed == map + 3 * PAGE);
  fails("MAP_FIXED_NOREPLACE on something", EEXIST,
        mmap(map, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
  memset(fixed, 'x', PAGE);
  works("madvise(MADV_DONTNEED)", madvise(fixed, PAGE, MADV_DONTNEED));
  equals("forgets", 0, fixed[100]);
  fails("madvise() with an unknown advice", EINVAL, madvise(fixed, PAGE, 9999));

  char* grown = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  strcpy(grown, "kept");
  char* moved = mremap(grown, PAGE, 64 * PAGE, MREMAP_MAYMOVE);
  check("mremap() grows", moved != MAP_FAILED);
  same_text("and keeps", "kept", moved);
  equals("the new end is usable", 0, touch(moved + 64 * PAGE - 1, 1));
  fails("mremap() with an unknown flag", EINVAL, mremap(moved, PAGE, PAGE, 0x40));
  check("mremap() shrinks in place", mremap(moved, 64 * PAGE, PAGE, 0) == moved);
  equals("what was cut is gone", SIGSEGV, touch(moved + 8 * PAGE, 0));

  int fd = must(open("file", O_RDWR | O_CREAT, 0600));
  must(write(fd, "first page", 10));
  must(ftruncate(fd, (off_t)PAGE + 100));
  must(pwrite(fd, "second", 6, PAGE));
  char* shared = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  char* private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  char* later = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, PAGE);
  check("a file at an offset", memcmp(later, "second", 6) == 0);
  fails("an unaligned offset", EINVAL, mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 100));
  memcpy(shared, "FIRST", 5);
  char text[16] = "";
  equals("pread() after a store", 10, pread(fd, text, 10, 0));
  same_text("shared stores reach the file", "FIRST page", text);
  must(pwrite(fd, "again", 5, 0));
  check("write() reaches the shared mapping", memcmp(shared, "again", 5) == 0);
  memcpy(private, "mine!", 5);
  check("private stores do not", memcmp(shared, "again", 5) == 0);
  equals("the rest of the last page", 0, shared[PAGE + 200]);
  equals("beyond the file", SIGBUS, touch(shared + 2 * PAGE, 0));
  works("msync", msync(shared, PAGE, MS_SYNC));
  must(ftruncate(fd, 0));
  equals("a truncated file", SIGBUS, touch(shared, 0));
  close(fd);

  write_file("readonly", "text", 0600);
  fd = must(open("readonly", O_RDONLY));
  fails("shared writing of a read-only file", EACCES,
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  check("private writing of it",
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) != MAP_FAILED);
  fd = must(open("readonly", O_WRONLY));
  fails("mapping a write-only file", EACCES, mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
  fd = must(open(".", O_RDONLY));
  fails("mapping a directory", ENODEV, mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0));

  char* start = sbrk(0);
  check("sbrk() grows", sbrk(3 * PAGE) == start);
  memset(start, 'b', 3 * PAGE);
  check("brk() shrinks", brk(start) == 0 && sbrk(0) == start);
  check("brk() grows anew", sbrk(PAGE) == start);
  equals("with zeroes", 0, start[0]);

  unsigned char resident[2];
  char* pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pages[0] = 1;
  works("mincore", mincore(pages, 2 * PAGE, resident));
  equals("a touched page is there", 1, resident[0] & 1);
  equals("an untouched one is not", 0, resident[1] & 1);

  write_code(pages, 42);
  works("mprotect(PROT_EXEC)", mprotect(pages, PAGE, PROT_READ | PROT_EXEC));
  equals("running code made at run time", 42, ((int (*)(void))(uintptr_t)pages)());
  must(mprotect(pages, PAGE, PROT_READ | PROT_WRITE));
  write_code(pages, 43);
  must(mprotect(pages, PAGE, PROT_READ | PROT_EXEC));
  equals("and changed", 43, ((int (*)(void))(uintptr_t)pages)());
}
