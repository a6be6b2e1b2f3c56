// What a patched call site reaches: the calls that need no more of the guest than their arguments.
#include "guest/native/fast.h"

#include "guest/native/signals.h"
#include "guest/native/syscalls.h"

namespace dd::native {
namespace {

constexpr FastResult kByTrap{0, FastAction::kTrap};

// Calls that read or change more of the guest's state than six arguments: frames, stacks, tasks,
// masks.
constexpr long kSlow[] = {
    kMmap,           kRtSigreturn, kClone,        kFork,        kVfork,     kExecve,
    kExit,           kExecveat,    kRtSigsuspend, kSigaltstack, kExitGroup, kClone3,
    kRestartSyscall, kArchPrctl,   kShmat,        kShmdt,
};

constexpr long kNumbers = 512;
struct SlowSet {
  bool slow[kNumbers] = {};
  constexpr SlowSet() {
    for (const long nr : kSlow) slow[nr] = true;
  }
};
constexpr SlowSet kSlowSet;

bool IsRestart(long result) { return result <= -kErestartsys && result >= -kErestartRestartblock; }

FastResult Finish(const FastFrame* frame, long result) {
  dd_fast_remember(frame, result);
  return {result, FastAction::kFinish};
}

FastResult Run(Thread* thread, const FastFrame* frame) {
  const auto nr = static_cast<long>(frame->nr);
  if (static_cast<uint64_t>(nr) >= kNumbers || kSlowSet.slow[nr] || BringsMask(nr, frame->args)) {
    return kByTrap;
  }
  thread->trapped = false;
  long result = DirectCall(thread, nr, frame->args);
  if (result == kNotHere) result = ThreadCall(thread, nr, frame->args);
  if (result == kNotHere) result = MemoryCall(thread, nr, frame->args);
  if (result == kNotHere && nr == kRtSigprocmask) {
    result = SignalCall(thread, nullptr, nr, frame->args);
    const uint64_t pending = std::atomic_ref(thread->slot->pending).load();
    if (thread->unblocked && (pending & ~Mask(thread)) != 0) return Finish(frame, result);
    thread->unblocked = false;
    return {result, FastAction::kReturn};
  }
  if (result == kNotHere) {
    const Reply reply = ForwardCall(thread, nr, frame->args);
    // Its process has been killed: a thread of the sentry's own process must not take that along.
    if (reply.verb == ring::Verb::kExitThread) ExitThread(thread);
    if (reply.verb != ring::Verb::kReturn) Die(79);
    result = reply.result;
  }
  return IsRestart(result) ? Finish(frame, result) : FastResult{result, FastAction::kReturn};
}

}  // namespace
}  // namespace dd::native

dd::native::FastResult dd_fast_dispatch(const dd::native::FastFrame* frame) {
  return dd::native::Run(dd::native::Current(), frame);
}

void dd_fast_remember(const dd::native::FastFrame* frame, long result) {
  dd::native::Thread* thread = dd::native::Current();
  thread->finish_result = result;
  thread->finish_nr = static_cast<long>(frame->nr);
  thread->finish_address = frame->return_address;
}
