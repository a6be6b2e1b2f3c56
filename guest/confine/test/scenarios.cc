// Runs under the main filter: no libc call that enters the kernel, no memory but stack and statics.
#include "guest/confine/test/scenarios.h"

#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "guest/confine/test/probes.h"

namespace dd::confine::test {
namespace {

constexpr long kPage = 4096;
constexpr uint32_t kForksMax = 4096;

alignas(16) char thread_stack[16384];
alignas(16) char signal_stack[65536];
std::atomic<uint32_t> thread_word{0};
uint64_t secret = 0;

long Address(const void* pointer) { return reinterpret_cast<long>(pointer); }

class Kernel {
 public:
  explicit Kernel(Caller call) : call_(call) {}
  long operator()(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                  long f = 0) const {
    return call_(number, a, b, c, d, e, f);
  }
  [[noreturn]] void Exit(long status) const {
    for (;;) (*this)(SYS_exit_group, status);
  }

 private:
  Caller call_;
};

// One value per call of the allow-list, in the order in which the supervisor names them.
void AllowedCalls(const Kernel& kernel, Board* board) {
  uint32_t at = 0;
  const auto note = [&](long value) { board->values[at++].store(value); };
  const long memory = kernel(SYS_mmap, 0, 2 * kPage, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  note(memory > 0 ? 0 : memory);
  *reinterpret_cast<char*>(memory) = 1;
  note(kernel(SYS_mprotect, memory, 2 * kPage, PROT_READ));
  note(kernel(SYS_madvise, memory + kPage, kPage, MADV_DONTNEED));
  const long moved = kernel(SYS_mremap, memory, 2 * kPage, 4 * kPage, MREMAP_MAYMOVE);
  note(moved > 0 ? 0 : moved);
  note(kernel(SYS_munmap, moved, 4 * kPage));
  uint32_t word = 1;
  note(kernel(SYS_futex, Address(&word), FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1));
  note(kernel(SYS_futex, Address(&word), FUTEX_WAIT, 0) == -EAGAIN ? 0 : -1);
  note(kernel(SYS_sched_yield));
  uint64_t mask = 0;
  note(kernel(SYS_rt_sigprocmask, SIG_SETMASK, 0, Address(&mask), sizeof(mask)));
  const stack_t stack = {.ss_sp = signal_stack, .ss_flags = 0, .ss_size = sizeof(signal_stack)};
  note(kernel(SYS_sigaltstack, Address(&stack), 0));
  note(kernel(SYS_close, kWindowFirst) == -EBADF ? 0 : -1);
  const long child = kernel(SYS_clone, static_cast<long>(kCloneFlagsForkToLauncher));
  if (child == 0) kernel.Exit(7);
  note(child > 0 ? 0 : child);
}

// The thread starts with the parent's registers and its own stack: only the exit call may be made
// before that stack holds a frame, so it is entered by its return address.
void StartThread(const Kernel& kernel, Board* board) {
  auto* top = reinterpret_cast<uint64_t*>(thread_stack + sizeof(thread_stack));
  *--top = 0;
  *--top = reinterpret_cast<uint64_t>(+[] {
    thread_word.store(1);
    for (;;) __builtin_ia32_pause();
  });
  uint32_t tid = 0;
  const long flags = static_cast<long>(kCloneFlagsThread);
  // SETTLS with the caller's own base would share thread-local storage: the thread uses none.
  const long result = kernel(SYS_clone, flags, Address(top), Address(&tid), Address(&tid), 0);
  board->values[kValuesMax - 1].store(result);
  while (result > 0 && thread_word.load() == 0) kernel(SYS_sched_yield);
}

long Announce(const Kernel& kernel) { return kernel(kNotifyCall, 1, 2, 3); }

void Donation(const Kernel& kernel, Board* board, long protection, long flags) {
  const long fd = Announce(kernel);
  board->values[0].store(fd);
  const long memory = kernel(SYS_mmap, 0, kPage, protection, flags, fd, 0);
  if (memory < 0) {
    board->result.store(memory);
    return;
  }
  board->result.store(*reinterpret_cast<const volatile char*>(memory));
}

void Hold(const Kernel& kernel, Board* board) {
  secret = 0x1122334455667788;
  board->secret_address.store(reinterpret_cast<uint64_t>(&secret));
  board->values[0].store(Announce(kernel));
  board->ready.store(1);
  while (board->go.load() == 0) kernel(SYS_sched_yield);
  board->secret.store(*const_cast<volatile uint64_t*>(&secret));
}

void ForkLimit(const Kernel& kernel, Board* board) {
  const long flags = static_cast<long>(kCloneFlagsForkToLauncher);
  uint32_t forks = 0;
  long result = 0;
  while (forks < kForksMax && (result = kernel(SYS_clone, flags)) > 0) ++forks;
  if (result == 0) {
    while (board->go.load() == 0) kernel(SYS_sched_yield);
    kernel.Exit(0);
  }
  board->result.store(result);
  board->values[0].store(forks);
  board->go.store(1);
}

}  // namespace

void RunScenario(const Order& order, const Stub& stub, Board* board) {
  const Kernel kernel(stub.call);
  switch (order.scenario) {
    case Scenario::kProbeOutside:
    case Scenario::kProbeNoFilter:
      board->result.store(RunProbe(Probes()[order.probe], CallOutside));
      break;
    case Scenario::kProbeInside:
      board->result.store(RunProbe(Probes()[order.probe], stub.call));
      break;
    case Scenario::kProbeWrongArch:
      board->result.store(stub.call_wrong_arch(20));
      break;
    case Scenario::kAllowedCalls:
      AllowedCalls(kernel, board);
      StartThread(kernel, board);
      break;
    case Scenario::kDonation:
      Donation(kernel, board, PROT_READ, MAP_PRIVATE);
      break;
    case Scenario::kWrongDonation:
      Donation(kernel, board, PROT_READ | PROT_WRITE, MAP_SHARED);
      break;
    case Scenario::kHold:
      Hold(kernel, board);
      break;
    case Scenario::kForkLimit:
      ForkLimit(kernel, board);
      break;
    case Scenario::kSibling:
      board->result.store(AttackSibling(order.probe, order.target));
      board->ready.store(1);
      break;
  }
  kernel.Exit(0);
}

}  // namespace dd::confine::test
