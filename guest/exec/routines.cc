// Code that all translations share: entering, leaving, calling kernels.
#include "guest/emit/x64/vector_assembler.h"
#include "guest/exec/cache.h"

namespace dd::exec {
namespace {

using emit::x64::Alu;
using emit::x64::Assembler;
using emit::x64::Cc;
using emit::x64::Gpr;
using emit::x64::Mem;
using emit::x64::Size;
using select::x64::kStateBias;
using select::x64::Left;

constexpr Gpr kSaved[] = {Gpr::kRbx, Gpr::kRbp, Gpr::kR12, Gpr::kR13, Gpr::kR14, Gpr::kR15};
// What a kernel, compiled code, does not keep, and generated code wants kept.
constexpr Gpr kCallerSaved[] = {Gpr::kRsi, Gpr::kRdi, Gpr::kR8, Gpr::kR9, Gpr::kR10, Gpr::kR11};
constexpr int32_t kKeptXmms = 13;

Mem StateMem(size_t offset) {
  return Mem::At(Gpr::kR15, static_cast<int32_t>(offset) - kStateBias);
}
Mem ScratchMem(uint32_t slot, uint32_t byte = 0) {
  return StateMem(offsetof(ir::State, scratch) + 8 * slot + byte);
}

void EmitEnter(Assembler& a, bool pinned_homes) {
  for (const Gpr r : kSaved) a.Push(r);
  a.Arith(Alu::kSub, Size::k64, Gpr::kRsp, 8);
  a.Lea(Size::k64, Gpr::kR15, Mem::At(Gpr::kRdi, kStateBias));
  a.Mov(Size::k64, ScratchMem(select::x64::kScratchHostStack), Gpr::kRsp);
  a.Stmxcsr(ScratchMem(select::x64::kScratchMxcsr, 4));
  a.Ldmxcsr(ScratchMem(select::x64::kScratchMxcsr));
  if (pinned_homes) {
    for (const auto& pinned : select::x64::kPinned) {
      a.Mov(Size::k64, pinned.home, StateMem(offsetof(ir::State, g) + 8 * pinned.g));
    }
  }
  a.JmpTo(Gpr::kRsi);
}

// eax: Left.
void EmitStorePinned(Assembler& a) {
  for (const auto& pinned : select::x64::kPinned) {
    a.Mov(Size::k64, StateMem(offsetof(ir::State, g) + 8 * pinned.g), pinned.home);
  }
}

void EmitLeaveState(Assembler& a) {
  a.Mov(Size::k64, Gpr::kRsp, ScratchMem(select::x64::kScratchHostStack));
  a.Stmxcsr(ScratchMem(select::x64::kScratchMxcsr));
  a.Ldmxcsr(ScratchMem(select::x64::kScratchMxcsr, 4));
  a.Arith(Alu::kAdd, Size::k64, Gpr::kRsp, 8);
  for (size_t i = sizeof kSaved / sizeof kSaved[0]; i-- > 0;) a.Pop(kSaved[i]);
  a.Ret();
}

void EmitCallKernel(Assembler& a, uint64_t kernel) {
  constexpr int32_t kGprBytes = 8 * static_cast<int32_t>(sizeof kCallerSaved);
  constexpr int32_t kFrame = 16 * kKeptXmms + kGprBytes + 8;  // aligned with the return address
  static_assert(kFrame % 16 == 8);
  a.Arith(Alu::kSub, Size::k64, Gpr::kRsp, kFrame);
  int32_t at = 16 * kKeptXmms;
  for (const Gpr r : kCallerSaved) {
    a.Mov(Size::k64, Mem::At(Gpr::kRsp, at), r);
    at += 8;
  }
  for (int32_t i = 0; i < kKeptXmms; i++) {
    a.Movups(Mem::At(Gpr::kRsp, 16 * i), emit::x64::XmmOf(static_cast<unsigned>(i)));
  }
  a.Lea(Size::k64, Gpr::kRdi, Mem::At(Gpr::kR15, -kStateBias));
  a.Mov(Size::k64, Gpr::kRsi, Gpr::kRax);
  a.MovImm(Gpr::kRax, kernel);
  a.CallTo(Gpr::kRax);
  for (int32_t i = 0; i < kKeptXmms; i++) {
    a.Movups(emit::x64::XmmOf(static_cast<unsigned>(i)), Mem::At(Gpr::kRsp, 16 * i));
  }
  at = 16 * kKeptXmms;
  for (const Gpr r : kCallerSaved) {
    a.Mov(Size::k64, r, Mem::At(Gpr::kRsp, at));
    at += 8;
  }
  a.Arith(Alu::kAdd, Size::k64, Gpr::kRsp, kFrame);
  a.Ret();
}

}  // namespace

void EmitRoutines(Translator* t) {
  Assembler a;
  a.Start(t->code_begin, kRoutineBytes, reinterpret_cast<uint64_t>(t->code_begin));
  const auto routine = [&] {
    a.AlignData(16);
    return a.here();
  };
  const select::Without& without = t->environment.without;
  const bool pinned_homes =
      !without(select::Technique::kHomes) && !without(select::Technique::kPinned);
  t->enter = routine();
  EmitEnter(a, pinned_homes);
  t->environment.leave = routine();
  if (pinned_homes) EmitStorePinned(a);
  t->environment.leave_state = a.here();
  EmitLeaveState(a);
  t->environment.call_kernel = routine();
  EmitCallKernel(a, reinterpret_cast<uint64_t>(&select::x64::ExecuteKernel));
  // rax: a guest address.
  t->environment.look_up = routine();
  a.Mov(Size::k64, StateMem(offsetof(ir::State, pc)), Gpr::kRax);
  a.MovImm(Gpr::kRax, static_cast<uint32_t>(Left::kTranslate));
  a.JmpNear(t->environment.leave);
  // rax: the entry that has no translation.
  t->environment.translate = routine();
  a.Mov(Size::k64, Gpr::kRax, Mem::At(Gpr::kRax, select::x64::kEntryPc));
  a.JmpNear(t->environment.look_up);
}

}  // namespace dd::exec
