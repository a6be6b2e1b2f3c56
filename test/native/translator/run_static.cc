// Runs a static arm64 program through the translator, on this process's own kernel: for tests of
// the translator and for measuring it, without dd's runtime. Knows the few system calls that such
// programs make, and no signals.
//
//   run-static [-v] PROGRAM [ARGUMENT...]
//   run-static -t
//
// -t: says which techniques DD_TRANSLATOR_WITHOUT (techniques.h) can name.
// -v: at its end, how many regions were translated, and how much code that is.
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <vector>

#include "guest/exec/cache.h"
#include "guest/exec/translator.h"
#include "guest/ir/interpret.h"
#include "guest/isa/a64/features.h"
#include "guest/lower/a64/lower.h"
#include "test/native/translator/techniques.h"

namespace {

using dd::exec::ExitKind;
using dd::ir::State;

constexpr size_t kCacheBytes = size_t{128} << 20;
constexpr size_t kStackBytes = size_t{8} << 20;
constexpr uint64_t kPage = 4096;

[[noreturn]] void Fail(const char* what) {
  perror(what);
  exit(126);
}

void* MapAnonymous(size_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return at == MAP_FAILED ? nullptr : at;
}
bool Protect(void* at, size_t bytes, bool executable) {
  return mprotect(at, bytes, PROT_READ | (executable ? PROT_EXEC : PROT_WRITE)) == 0;
}
size_t Fetch(void* to, uint64_t pc, size_t limit) {
  iovec local{to, limit};
  iovec remote{reinterpret_cast<void*>(pc), limit};
  const ssize_t got = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
  return got < 0 ? 0 : static_cast<size_t>(got);
}
void Yield() { sched_yield(); }

uint64_t Nanoseconds(uint32_t clock) {
  timespec now;
  clock_gettime(static_cast<clockid_t>(clock), &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

dd::exec::Translator* translator;
State* main_state;

void OnFault(int signal, siginfo_t* info, void* context) {
  auto* registers = static_cast<ucontext_t*>(context);
  auto* general = reinterpret_cast<uint64_t*>(registers->uc_mcontext.gregs);
  const auto place = Recover(translator, general, registers->uc_mcontext.fpregs->_xmm, main_state);
  if (place == dd::exec::Place::kRetry) return;
  fprintf(stderr, "run-static: signal %d at host %llx, address %p, guest pc %llx (%s)\n", signal,
          static_cast<unsigned long long>(general[REG_RIP]), info->si_addr,
          static_cast<unsigned long long>(main_state->pc),
          place == dd::exec::Place::kGuest ? "guest" : "elsewhere");
  for (int i = 0; i < 32; i++) {
    fprintf(stderr, "x%-2d %016llx%c", i, static_cast<unsigned long long>(main_state->g[i]),
            i % 4 == 3 ? '\n' : ' ');
  }
  _exit(128 + signal);
}

struct Image {
  uint64_t entry, headers, header_count, header_bytes, end;
};

Image Load(const char* path) {
  const int fd = open(path, O_RDONLY);
  if (fd < 0) Fail(path);
  Elf64_Ehdr header;
  if (pread(fd, &header, sizeof header, 0) != sizeof header) Fail(path);
  if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_machine != EM_AARCH64) {
    fprintf(stderr, "%s: not an arm64 program\n", path);
    exit(126);
  }
  Image image{header.e_entry, 0, header.e_phnum, header.e_phentsize, 0};
  for (int i = 0; i < header.e_phnum; i++) {
    Elf64_Phdr segment;
    const auto at =
        static_cast<off_t>(header.e_phoff + static_cast<uint64_t>(i) * header.e_phentsize);
    if (pread(fd, &segment, sizeof segment, at) != sizeof segment) Fail(path);
    if (segment.p_type != PT_LOAD) continue;
    const uint64_t begin = segment.p_vaddr & ~(kPage - 1);
    const uint64_t end = (segment.p_vaddr + segment.p_memsz + kPage - 1) & ~(kPage - 1);
    void* memory = mmap(reinterpret_cast<void*>(begin), end - begin, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (memory == MAP_FAILED) Fail("segment");
    if (pread(fd, reinterpret_cast<void*>(segment.p_vaddr), segment.p_filesz,
              static_cast<off_t>(segment.p_offset)) != static_cast<ssize_t>(segment.p_filesz)) {
      Fail(path);
    }
    if (segment.p_offset <= header.e_phoff &&
        header.e_phoff < segment.p_offset + segment.p_filesz) {
      image.headers = segment.p_vaddr + header.e_phoff - segment.p_offset;
    }
    if (end > image.end) image.end = end;
  }
  close(fd);
  return image;
}

uint64_t MakeStack(const Image& image, const std::vector<const char*>& arguments) {
  auto* memory = static_cast<uint8_t*>(MapAnonymous(kStackBytes));
  if (memory == nullptr) Fail("stack");
  uint64_t at = reinterpret_cast<uint64_t>(memory) + kStackBytes;
  const auto push = [&](const void* from, size_t bytes) {
    at -= bytes;
    memcpy(reinterpret_cast<void*>(at), from, bytes);
    return at;
  };
  std::vector<uint64_t> words{arguments.size()};
  for (const char* argument : arguments) words.push_back(push(argument, strlen(argument) + 1));
  words.push_back(0);
  words.push_back(push("LC_ALL=C", 9));
  words.push_back(0);
  uint8_t random[16];
  if (getrandom(random, sizeof random, 0) != sizeof random) Fail("getrandom");
  const uint64_t random_at = push(random, sizeof random);
  const uint64_t auxiliary[][2] = {{AT_PHDR, image.headers},
                                   {AT_PHENT, image.header_bytes},
                                   {AT_PHNUM, image.header_count},
                                   {AT_PAGESZ, kPage},
                                   {AT_ENTRY, image.entry},
                                   {AT_HWCAP, dd::isa::a64::kHwcap},
                                   {AT_RANDOM, random_at},
                                   {AT_UID, 0},
                                   {AT_EUID, 0},
                                   {AT_GID, 0},
                                   {AT_EGID, 0},
                                   {AT_SECURE, 0},
                                   {AT_NULL, 0}};
  for (const auto& pair : auxiliary) words.insert(words.end(), {pair[0], pair[1]});
  at = (at - words.size() * 8) & ~uint64_t{15};
  memcpy(reinterpret_cast<void*>(at), words.data(), words.size() * 8);
  return at;
}

// struct stat as arm64 has it.
struct GuestStat {
  uint64_t dev, ino;
  uint32_t mode, nlink, uid, gid;
  uint64_t rdev, pad1;
  int64_t size;
  int32_t blksize, pad2;
  int64_t blocks, atime, atime_ns, mtime, mtime_ns, ctime, ctime_ns;
  uint32_t unused[2];
};

int64_t Stat(int fd, const char* path, int flags, uint64_t to) {
  struct stat s;
  if (fstatat(fd, path, &s, flags) != 0) return -errno;
  GuestStat g{};
  g.dev = s.st_dev;
  g.ino = s.st_ino;
  g.mode = s.st_mode;
  g.nlink = static_cast<uint32_t>(s.st_nlink);
  g.uid = s.st_uid;
  g.gid = s.st_gid;
  g.size = s.st_size;
  g.blksize = static_cast<int32_t>(s.st_blksize);
  g.blocks = s.st_blocks;
  g.mtime = s.st_mtime;
  memcpy(reinterpret_cast<void*>(to), &g, sizeof g);
  return 0;
}

// Calls whose arguments mean the same on both: arm64's number, the host's.
constexpr long kSame[][2] = {
    {24, SYS_dup3},       {154, SYS_setpgid},       {155, SYS_getpgid},
    {179, SYS_sysinfo},   {59, SYS_pipe2},          {17, SYS_getcwd},
    {23, SYS_dup},        {25, SYS_fcntl},          {29, SYS_ioctl},
    {34, SYS_mkdirat},    {35, SYS_unlinkat},       {46, SYS_ftruncate},
    {48, SYS_faccessat},  {52, SYS_fchmod},         {57, SYS_close},
    {62, SYS_lseek},      {63, SYS_read},           {64, SYS_write},
    {65, SYS_readv},      {66, SYS_writev},         {67, SYS_pread64},
    {68, SYS_pwrite64},   {78, SYS_readlinkat},     {82, SYS_fsync},
    {83, SYS_fdatasync},  {113, SYS_clock_gettime}, {115, SYS_clock_nanosleep},
    {160, SYS_uname},     {165, SYS_getrusage},     {169, SYS_gettimeofday},
    {172, SYS_getpid},    {173, SYS_getppid},       {174, SYS_getuid},
    {175, SYS_geteuid},   {176, SYS_getgid},        {177, SYS_getegid},
    {178, SYS_gettid},    {215, SYS_munmap},        {216, SYS_mremap},
    {222, SYS_mmap},      {226, SYS_mprotect},      {233, SYS_madvise},
    {261, SYS_prlimit64}, {278, SYS_getrandom},     {124, SYS_sched_yield},
    {55, SYS_fchown},     {38, SYS_renameat},
};

bool verbose;
uint64_t program_break;
uint64_t program_break_end;

// O_* that differ: O_DIRECTORY, O_NOFOLLOW, O_DIRECT, O_LARGEFILE.
int OpenFlags(uint64_t guest) {
  int flags = static_cast<int>(guest & ~uint64_t{0x3c000});
  if ((guest & 0x4000) != 0) flags |= O_DIRECTORY;
  if ((guest & 0x8000) != 0) flags |= O_NOFOLLOW;
  return flags;
}

uint64_t SystemCall(State* s) {
  const uint64_t* x = s->g;
  const auto number = static_cast<long>(x[8]);
  switch (number) {
    case 93:  // exit
    case 94:  // exit_group
      if (verbose) {
        fprintf(stderr, "%u regions, %zu bytes of code\n", translator->translation_count - 1,
                static_cast<size_t>(translator->code_at - translator->code_begin));
      }
      _exit(static_cast<int>(x[0]));
    case 96:  // set_tid_address
      return static_cast<uint64_t>(getpid());
    case 99:   // set_robust_list
    case 134:  // rt_sigaction
    case 135:  // rt_sigprocmask
    case 132:  // sigaltstack
      return 0;
    case 293:  // rseq
      return static_cast<uint64_t>(-ENOSYS);
    case 214:  // brk
      if (x[0] >= program_break_end - (uint64_t{256} << 20) && x[0] <= program_break_end) {
        program_break = x[0];
      }
      return program_break;
    case 56: {  // openat
      const int fd = openat(static_cast<int>(x[0]), reinterpret_cast<const char*>(x[1]),
                            OpenFlags(x[2]), static_cast<mode_t>(x[3]));
      return static_cast<uint64_t>(fd < 0 ? -errno : fd);
    }
    case 79:  // newfstatat
      return static_cast<uint64_t>(Stat(static_cast<int>(x[0]), reinterpret_cast<const char*>(x[1]),
                                        static_cast<int>(x[3]), x[2]));
    case 80:  // fstat
      return static_cast<uint64_t>(Stat(static_cast<int>(x[0]), "", AT_EMPTY_PATH, x[1]));
    default:
      break;
  }
  for (const auto& row : kSame) {
    if (row[0] != number) continue;
    const long result = syscall(row[1], x[0], x[1], x[2], x[3], x[4], x[5]);
    if (number == 215 || number == 222) Invalidate(translator, x[0], x[0] + x[1]);
    return static_cast<uint64_t>(result < 0 ? -errno : result);
  }
  fprintf(stderr, "run-static: system call %ld is unknown\n", number);
  return static_cast<uint64_t>(-ENOSYS);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "-v") == 0) {
    verbose = true;
    argv++;
    argc--;
  }
  if (argc > 1 && strcmp(argv[1], "-t") == 0) {
    for (const char* name : dd::select::kTechniqueNames) puts(name);
    return 0;
  }
  if (argc < 2) {
    fprintf(stderr, "usage: run-static [-v] PROGRAM [ARGUMENT...]\n       run-static -t\n");
    return 126;
  }
  dd::ir::read_clock = Nanoseconds;
  dd::ir::count_clock = CLOCK_MONOTONIC;
  translator = dd::exec::Make({MapAnonymous, Protect, Fetch, Yield}, kCacheBytes,
                              dd::lower::a64::LowerBlock);
  if (translator == nullptr) Fail("translator");
  dd::test::LeaveOutAsAsked(translator);
  const Image image = Load(argv[1]);
  constexpr size_t kBreakBytes = size_t{256} << 20;
  void* heap = mmap(reinterpret_cast<void*>(image.end), kBreakBytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (heap == MAP_FAILED) Fail("heap");
  program_break = reinterpret_cast<uint64_t>(heap);
  program_break_end = program_break + kBreakBytes;

  auto* state = static_cast<State*>(aligned_alloc(alignof(State), sizeof(State)));
  memset(state, 0, sizeof *state);
  state->exclusive_addr = dd::ir::kNoExclusive;
  state->pc = image.entry;
  state->g[31] = MakeStack(image, {argv + 1, argv + argc});
  main_state = state;

  stack_t alternate{};
  alternate.ss_size = 65536;
  alternate.ss_sp = MapAnonymous(alternate.ss_size);
  sigaltstack(&alternate, nullptr);
  struct sigaction action {};
  action.sa_sigaction = OnFault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) {
    sigaction(signal, &action, nullptr);
  }

  for (;;) {
    const dd::exec::Exit exit = Run(translator, state);
    switch (exit.kind) {
      case ExitKind::kSyscall:
        state->g[0] = SystemCall(state);
        break;
      case ExitKind::kInterrupt:
        state->interrupt = 0;
        break;
      default:
        fprintf(stderr, "run-static: exit %d trap %d at %llx\n", static_cast<int>(exit.kind),
                static_cast<int>(exit.trap), static_cast<unsigned long long>(state->pc));
        return 127;
    }
  }
}
