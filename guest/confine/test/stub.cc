#include "guest/confine/test/stub.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace dd::confine::test {
namespace {

// C arguments to kernel registers, syscall, ret.
constexpr unsigned char kCall[] = {0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x48, 0x89, 0xd6,
                                   0x48, 0x89, 0xca, 0x4d, 0x89, 0xc2, 0x4d, 0x89, 0xc8,
                                   0x4c, 0x8b, 0x4c, 0x24, 0x08, 0x0f, 0x05, 0xc3};
// mov %edi,%eax; int $0x80; ret.
constexpr unsigned char kCallWrongArch[] = {0x89, 0xf8, 0xcd, 0x80, 0xc3};
// mov $15,%eax; syscall: rt_sigreturn, the restorer of signal frames.
constexpr unsigned char kRestorer[] = {0xb8, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};

constexpr size_t kCallAt = 64;
constexpr size_t kWrongArchAt = 128;
constexpr size_t kRestorerAt = 192;

Board* trap_board = nullptr;

void OnTrap(int /*signal*/, siginfo_t* info, void* context) {
  trap_board->traps.fetch_add(1);
  trap_board->trapped_call.store(info->si_syscall);
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RAX] = -ENOSYS;
}

// The kernel's struct sigaction: libc would put its own restorer in, which lies outside the stub
// page.
struct KernelAction {
  void (*handler)(int, siginfo_t*, void*);
  unsigned long flags;
  uint64_t restorer;
  uint64_t mask;
};
constexpr unsigned long kRestorerFlag = 0x04000000;

}  // namespace

Stub MapStub(Confinement* confinement) {
  constexpr size_t kLength = 4096;
  void* const page =
      mmap(nullptr, kLength, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return {};
  auto* const bytes = static_cast<unsigned char*>(page);
  memcpy(bytes + kCallAt, kCall, sizeof(kCall));
  memcpy(bytes + kWrongArchAt, kCallWrongArch, sizeof(kCallWrongArch));
  memcpy(bytes + kRestorerAt, kRestorer, sizeof(kRestorer));
  const auto start = reinterpret_cast<uint64_t>(page);
  if (mprotect(page, kLength, PROT_READ | PROT_EXEC) != 0 ||
      PlaceStub(confinement, start, start + kLength).failed()) {
    return {};
  }
  return {reinterpret_cast<Caller>(bytes + kCallAt),
          reinterpret_cast<long (*)(long)>(bytes + kWrongArchAt), start + kRestorerAt};
}

long CallOutside(long number, long a, long b, long c, long d, long e, long f) {
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  long result = number;
  __asm__ volatile("syscall"
                   : "+a"(result)
                   : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

bool CatchTraps(const Stub& stub, Board* board) {
  trap_board = board;
  const KernelAction action = {
      .handler = OnTrap, .flags = SA_SIGINFO | kRestorerFlag, .restorer = stub.restorer, .mask = 0};
  return syscall(SYS_rt_sigaction, SIGSYS, &action, nullptr, sizeof(action.mask)) == 0;
}

}  // namespace dd::confine::test
