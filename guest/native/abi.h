// Linux's numbers and structures as the in-place runtime needs them. Freestanding: no libc header.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dd::native {

// Host and guest are the same instruction set here, so one set of numbers serves both.
enum Nr : long {
  kRead = 0,
  kWrite = 1,
  kPoll = 7,
  kLseek = 8,
  kClose = 3,
  kMmap = 9,
  kMprotect = 10,
  kMunmap = 11,
  kBrk = 12,
  kRtSigaction = 13,
  kRtSigprocmask = 14,
  kRtSigreturn = 15,
  kPread64 = 17,
  kPwrite64 = 18,
  kReadv = 19,
  kWritev = 20,
  kSchedYield = 24,
  kMremap = 25,
  kMadvise = 28,
  kShmat = 30,
  kDup2 = 33,
  kGetpid = 39,
  kSendto = 44,
  kRecvfrom = 45,
  kSendmsg = 46,
  kRecvmsg = 47,
  kSetsockopt = 54,
  kFcntl = 72,
  kClone = 56,
  kFork = 57,
  kVfork = 58,
  kExecve = 59,
  kExit = 60,
  kShmdt = 67,
  kRtSigsuspend = 130,
  kSigaltstack = 131,
  kArchPrctl = 158,
  kPrctl = 157,
  kGettid = 186,
  kFutex = 202,
  kSetTidAddress = 218,
  kRestartSyscall = 219,
  kClockGettime = 228,
  kExitGroup = 231,
  kEpollWait = 232,
  kEpollCtl = 233,
  kPselect6 = 270,
  kPpoll = 271,
  kUnshare = 272,
  kOpenat = 257,
  kDup3 = 292,
  kSetRobustList = 273,
  kEpollPwait = 281,
  kSeccomp = 317,
  kMembarrier = 324,
  kExecveat = 322,
  kRseq = 334,
  kPidfdOpen = 434,
  kClone3 = 435,
  kCloseRange = 436,
  kPidfdGetfd = 438,
  kEpollPwait2 = 441,
};

enum Error : long {
  kEperm = 1,
  kEnoent = 2,
  kEintr = 4,
  kEbadf = 9,
  kEagain = 11,
  kEnomem = 12,
  kEfault = 14,
  kEexist = 17,
  kEinval = 22,
  kEpipe = 32,
  kEnosys = 38,
  kErestartsys = 512,
  kErestartnointr = 513,
  kErestartnohand = 514,
  kErestartRestartblock = 516,
};

constexpr uint64_t kPage = 4096;
constexpr long kCloexec = 02000000;

enum Mman : uint32_t {
  kProtRead = 1,
  kProtWrite = 2,
  kProtExec = 4,
  kProtAll = 7,
  kProtSem = 8,  // accepted by mprotect(2), without meaning
  kMapShared = 0x01,
  kMapPrivate = 0x02,
  kMapFixed = 0x10,
  kMapAnonymous = 0x20,
  kMapNoreserve = 0x4000,
  kMapStack = 0x20000,
  kMapFixedNoreplace = 0x100000,
  kMapHugetlb = 0x40000,
  kMadvDontfork = 10,
  kMadvPopulateWrite = 23,
};

enum Signal : int {
  kSigill = 4,
  kSigtrap = 5,
  kSigbus = 7,
  kSigfpe = 8,
  kSigkill = 9,
  kSigsegv = 11,
  kSigpipe = 13,
  kSigstop = 19,
  kSigxfsz = 25,
  kSigsys = 31,
  // The host signal by which the sentry interrupts guest code. Guest signals are never host
  // signals.
  kSigkick = 62,
};

constexpr uint64_t SignalBit(int signo) { return uint64_t{1} << (signo - 1); }
// What a guest's thread leaves to the sentry's own threads, if it lives in the same process: all
// but faults, traps and kicks. In a process of its own it takes what the host's operator sends.
constexpr uint64_t kSentrySignals =
    ~(SignalBit(kSigill) | SignalBit(kSigtrap) | SignalBit(kSigbus) | SignalBit(kSigfpe) |
      SignalBit(kSigsegv) | SignalBit(kSigsys) | SignalBit(kSigkick));
// What the host raises when a transfer on the direct plane fails: the sentry is asked then, and
// raises the guest's own signal if there is to be one.
constexpr uint64_t kTransferSignals = SignalBit(kSigpipe) | SignalBit(kSigxfsz);
constexpr uint64_t kUnblockable = SignalBit(kSigkill) | SignalBit(kSigstop);

enum SigactionFlags : uint64_t {
  kSaSiginfo = 0x4,
  kSaRestorer = 0x04000000,
  kSaOnstack = 0x08000000,
  kSaRestart = 0x10000000,
  kSaNodefer = 0x40000000,
};

struct PollFd {
  int32_t fd;
  int16_t events;
  int16_t revents;
};

struct Sigaction {
  void* handler;
  uint64_t flags;
  void* restorer;
  uint64_t mask;
};

struct Stack {
  uint64_t sp;
  int32_t flags;
  uint32_t pad;
  uint64_t size;
};

enum SigaltstackFlags : uint32_t {
  kSsOnstack = 1,
  kSsDisable = 2,
  kSsAutodisarm = 0x80000000U,
};

struct Timespec {
  int64_t sec;
  int64_t nsec;
};

// `siginfo_t` as far as handlers of host signals read it.
struct Siginfo {
  int32_t signo;
  int32_t error;
  int32_t code;
  int32_t pad;
  union {
    uint64_t addr;  // SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP
    struct {
      uint64_t call_addr;
      int32_t syscall;
      uint32_t arch;
    } sys;  // SIGSYS
    uint8_t bytes[112];
  };
};
static_assert(sizeof(Siginfo) == 128);

// `struct sigcontext` of x86-64, <asm/sigcontext.h>.
struct Mcontext {
  uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
  uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip;
  uint64_t eflags;
  uint16_t cs, gs, fs, ss;
  uint64_t err, trapno, oldmask, cr2;
  uint8_t* fpstate;
  uint64_t reserved[8];
};
static_assert(sizeof(Mcontext) == 256);

// `struct ucontext` of the kernel, <asm/ucontext.h>.
struct Ucontext {
  uint64_t flags;
  Ucontext* link;
  Stack stack;
  Mcontext mcontext;
  uint64_t sigmask;
};
static_assert(sizeof(Ucontext) == 304);

// What the kernel pushes for a handler; the extended state lies above it.
struct SignalFrame {
  uint64_t pretcode;
  Ucontext uc;
  Siginfo info;
};
static_assert(sizeof(SignalFrame) == 440);

// Places in the saved extended state (an XSAVE image with a software header). <asm/sigcontext.h>
enum Xsave : uint32_t {
  kXsaveMxcsr = 24,
  kXsaveSoftware = 464,  // magic1, extended_size, xfeatures, xstate_size
  kXsaveSoftwareEnd = 512,
  kXsaveHeader = 512,  // xstate_bv
  kXsaveMagic1 = 0x46505853,
  kFxsaveSize = 512,
  kMxcsrInitial = 0x1f80,
};

}  // namespace dd::native
