// Host signals of threads whose guest code is translated.
#include "guest/native/places.h"
#include "guest/native/signals.h"
#include "guest/translated/context.h"

namespace dd::native {
namespace {

constexpr uint64_t kXmmOffset = 160;  // of FXSAVE's image

void OnFault(int signo, Siginfo* info, void* context) {
  auto* uc = static_cast<Ucontext*>(context);
  Mcontext& m = uc->mcontext;
  Thread* thread = Current();
  if (thread == nullptr) Die(71);
  if (FailAccess(&uc->mcontext)) return;
  Context* guest = thread->context;
  if (guest == nullptr) Die(71);
  auto* registers = reinterpret_cast<uint64_t*>(&m);
  switch (exec::Recover(thread->space->translated->translator, registers, m.fpstate + kXmmOffset,
                        &guest->state)) {
    case exec::Place::kRetry:
      return;
    case exec::Place::kElsewhere:
      Die(71);
    case exec::Place::kGuest:
      break;
  }
  guest->fault = {signo, info->code, info->addr};
  exec::LeaveAt(thread->space->translated->translator, registers);
}

void OnKick(int, Siginfo*, void* context) {
  auto* uc = static_cast<Ucontext*>(context);
  Thread* thread = Current();
  if (thread == nullptr) return;
  thread->kicked = 1;
  if (thread->context != nullptr) {
    std::atomic_ref(thread->context->state.interrupt).store(1, std::memory_order_relaxed);
  }
  AbortWait(&uc->mcontext);
}

long Install(int signo, void (*handler)(int, Siginfo*, void*), uint64_t mask) {
  Sigaction action;
  action.handler = __builtin_bit_cast(void*, handler);
  action.flags = kSaSiginfo | kSaOnstack | kSaRestorer | kSaNodefer;
  action.restorer = __builtin_bit_cast(void*, &dd_sigreturn);
  action.mask = mask;
  return Host(kRtSigaction, signo, &action, nullptr, 8);
}

}  // namespace

long InstallHandlers(uint64_t foreign) {
  const uint64_t all =
      foreign | SignalBit(kSigfpe) | SignalBit(kSigill) | SignalBit(kSigtrap) | SignalBit(kSigkick);
  long error = 0;
  for (const int signo : {kSigsegv, kSigbus, kSigfpe, kSigill, kSigtrap}) {
    if (error == 0) error = Install(signo, OnFault, all);
  }
  return error == 0 ? Install(kSigkick, OnKick, all) : error;
}

}  // namespace dd::native
