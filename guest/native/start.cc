#include "guest/native/start.h"

#include "guest/native/context.h"
#include "guest/native/signals.h"

extern "C" {
[[noreturn, gnu::visibility("hidden")]] void dd_switch_stack(uint64_t stack,
                                                             void (*function)(void*),
                                                             void* argument);
}

namespace dd::native {
namespace {

constexpr long kMaxSteps = ring::kStagingSize / sizeof(ring::PlanStep);

struct RunArguments {
  Thread* thread;
  const Start* start;
};

void RunTrampoline(void* argument) {
  const auto* arguments = static_cast<RunArguments*>(argument);
  Run(arguments->thread, *arguments->start);
}

// One mapping of the plan. 0 or -errno.
long CarryOut(const ring::PlanStep& step, uint32_t tag, const Start& start) {
  long fd = -1;
  if (step.fd >= 0) {
    if (static_cast<uint32_t>(step.fd) >= start.file_count) return -kEinval;
    fd = start.file_fds[step.fd];
  }
  if ((step.flags & ring::kPlanTranslations) != 0) {
    TranslationsLent(start.space, step.addr, step.length, step.offset, fd);
    return 0;
  }
  const long result =
      Map(start.space, {step.addr, step.length, step.prot, step.flags, fd, step.offset}, tag);
  return result < 0 ? result : 0;
}

}  // namespace

Thread* Prepare(const Start& start, long* error) {
  AddressSpace* space = start.space;
  const long doorbell =
      Host(kMmap, nullptr, kPage, kProtRead | kProtWrite, kMapShared, start.doorbell_fd, 0);
  const long base =
      Host(kMmap, nullptr, ring::kRingBytes, kProtRead | kProtWrite, kMapShared, start.ring_fd, 0);
  *error = doorbell < 0 ? doorbell : base;
  if (doorbell < 0 || base < 0) return nullptr;
  Host(kMadvise, base, ring::kRingBytes, kMadvDontfork);
  space->owned = MakeOwned();
  if (space->owned == nullptr) {
    *error = -kEnomem;
    return nullptr;
  }
  space->doorbell = reinterpret_cast<ring::Doorbell*>(doorbell);
  space->ring_base = reinterpret_cast<uint8_t*>(base);
  space->ring_index = ring::Ring(space->ring_base).header()->ring_index;

  Thread* thread = ThreadForSlot(space, 0);
  if (thread == nullptr) {
    *error = -kEnomem;
    return nullptr;
  }
  asm volatile("wrgsbase %0" : : "r"(thread));
  const Stack stack{StackBottom(thread), 0, 0, StackTop(thread) - StackBottom(thread)};
  *error = Host(kSigaltstack, &stack, nullptr);
  // Kicks wait until guest code runs: entering it unblocks them.
  const uint64_t kick = SignalBit(kSigkick);
  if (*error == 0) *error = Host(kRtSigprocmask, 0, &kick, nullptr, 8);
  if (*error == 0) *error = InstallHandlers(0);
  if (*error == 0) *error = PrepareSpace(space);
  return *error == 0 ? thread : nullptr;
}

void Run(Thread* thread, const Start& start) {
  const auto* steps = reinterpret_cast<const ring::PlanStep*>(thread->staging);
  long error = start.step_count <= kMaxSteps ? 0 : -kEinval;
  uint64_t at = 0;
  for (; error == 0 && at < start.step_count; at++) {
    error = CarryOut(steps[at], static_cast<uint32_t>(at) + 1, start);
  }
  for (uint32_t i = 0; i < start.file_count; i++) Host(kClose, start.file_fds[i]);
  if (error != 0) {
    const uint64_t args[6] = {at, static_cast<uint64_t>(-error)};
    RingCall(thread, static_cast<uint32_t>(ring::RuntimeCall::kPlanFailed), args);
    Die(76);
  }
  const uint64_t args[6] = {reinterpret_cast<uint64_t>(start.space->owned)};
  const Reply reply = RingCall(thread, static_cast<uint32_t>(ring::RuntimeCall::kStart), args);
  if (reply.verb != ring::Verb::kEnter) Die(77);
  AddressSpace* space = thread->space;
  space->brk_start = reply.operands[2];
  space->brk = reply.operands[2];
  thread->pid = static_cast<uint32_t>(reply.operands[3]);
  space->pid = thread->pid;
  thread->tid = static_cast<uint32_t>(reply.operands[4]);
  EnterProgram(thread, reply.operands[0], reply.operands[1]);
}

void RunOnOwnStack(Thread* thread, const Start* start) {
  RunArguments arguments{thread, start};
  dd_switch_stack(StackTop(thread), RunTrampoline, &arguments);
}

}  // namespace dd::native
