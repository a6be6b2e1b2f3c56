// Operations that generated code leaves to their kernels: operands go to State, the result comes
// from there.
#include "guest/ir/interpret.h"
#include "guest/select/x64/codegen.h"

namespace dd::select::x64 {

using ir::Op;
using ir::Ref;

void Codegen::SpillForKernel(const Op& op) {
  for (const Ref ref : {op.a, op.b, op.c}) {
    for (const Ref each : {ref, op.code == ir::OpCode::kCompareSwapPair ? Next(ref) : ref}) {
      Gpr gpr;
      Xmm xmm;
      if (InGpr(each, &gpr)) Mov(Size::k64, HomeInState(each), gpr);
      if (InXmm(each, &xmm)) Movups(HomeInState(each), xmm);
    }
  }
}

void Codegen::CallKernel(const Op& op) {
  if (ReadsFlags(op)) {
    SaveFlags();
    flags_.eflags = InEflags::kNo;
  } else {
    ClobberFlags();
  }
  SpillForKernel(op);
  Stub* stub = NewStub(Stub::kKernel);
  stub->op = &op;
  if (MayFault(op)) MarkPoint(op);
  LeaLabel(kRax, &stub->label);
  CallNear(env_->call_kernel);
  // Results of kernels are read from where they are left.
  for (const Ref ref : {op.dst, op.code == ir::OpCode::kLoadExclusivePair ? op.b : op.dst}) {
    Gpr gpr;
    Xmm xmm;
    if (InGpr(ref, &gpr)) Mov(Size::k64, gpr, HomeInState(ref));
    if (InXmm(ref, &xmm)) {
      Movups(xmm, HomeInState(ref));
    }
    if (ref.vector()) upper_.Set(ref.index(), Upper::kUnknown);
  }
  if (WritesFlags(op)) flags_ = FlagsPlace{};
}

Stub* Codegen::KernelIf(Cc cc, const Op& op) {
  Stub* stub = NewStub(Stub::kKernel);
  stub->op = &op;
  const Ref refs[] = {op.dst, op.a, op.b, op.c};
  for (uint32_t i = 0; i < 4; i++) {
    Gpr gpr;
    Xmm xmm;
    stub->places[i] = kNowhere;
    if (InGpr(refs[i], &gpr)) stub->places[i] = Number(gpr);
    if (InXmm(refs[i], &xmm)) stub->places[i] = static_cast<uint8_t>(16 + Number(xmm));
  }
  stub->conditional = true;
  Jcc(cc, &stub->label);
  return stub;
}

void Codegen::EndKernelIf(Stub* stub) { Bind(&stub->back); }

void Codegen::EmitKernelStub(Stub* stub) {
  Label copy;
  if (stub->conditional) {
    Bind(&stub->label);
    const Ref refs[] = {stub->op->dst, stub->op->a, stub->op->b, stub->op->c};
    for (uint32_t i = 1; i < 4; i++) {
      const uint8_t place = stub->places[i];
      if (place == kNowhere) continue;
      if (place < 16) {
        Mov(Size::k64, HomeInState(refs[i]), emit::x64::GprOf(place));
      } else {
        Movups(HomeInState(refs[i]), emit::x64::XmmOf(place - 16u));
      }
    }
    LeaLabel(kRax, &copy);
    CallNear(env_->call_kernel);
    const uint8_t place = stub->places[0];
    if (place != kNowhere && place < 16) {
      Mov(Size::k64, emit::x64::GprOf(place), HomeInState(refs[0]));
    } else if (place != kNowhere) {
      Movups(emit::x64::XmmOf(place - 16u), HomeInState(refs[0]));
    }
    Jmp(&stub->back);
  }
  AlignData(8);
  Bind(stub->conditional ? &copy : &stub->label);
  DataBytes(stub->op, sizeof(ir::Op));
}

// Runs on a guest's thread, in the guest's floating-point mode.
void ExecuteKernel(ir::State* state, const ir::Op* op) {
  const bool system = op->code == ir::OpCode::kReadSystem || op->code == ir::OpCode::kWriteSystem;
  const auto name = static_cast<ir::SystemRegister>(op->imm);
  if (system &&
      (name == ir::SystemRegister::kFloatControl || name == ir::SystemRegister::kFloatStatus)) {
    uint32_t mxcsr;
    asm volatile("stmxcsr %0" : "=m"(mxcsr));
    state->fpsr |= FpsrOf(mxcsr);
    ir::Execute(*state, *op);
    mxcsr = MxcsrOf(state->fpcr);
    asm volatile("ldmxcsr %0" : : "m"(mxcsr));
    return;
  }
  ir::Execute(*state, *op);
}

uint32_t MxcsrOf(uint32_t fpcr) {
  // Nearest, up, down, to zero; MXCSR has up and down the other way round.
  constexpr uint32_t kRounding[] = {0, 2, 1, 3};
  constexpr uint32_t kMasks = 0x1f80, kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  uint32_t mxcsr = kMasks | kRounding[fpcr >> ir::kFpcrRoundingShift & 3] << 13;
  if ((fpcr & ir::kFpcrFlushToZero) != 0) mxcsr |= kFlushToZero | kDenormalsAreZero;
  return mxcsr;
}

uint32_t FpsrOf(uint32_t mxcsr) {
  uint32_t fpsr = 0;
  if ((mxcsr & 0x01) != 0) fpsr |= ir::kFpsrInvalid;
  if ((mxcsr & 0x04) != 0) fpsr |= ir::kFpsrDivideByZero;
  if ((mxcsr & 0x08) != 0) fpsr |= ir::kFpsrOverflow;
  if ((mxcsr & 0x10) != 0) fpsr |= ir::kFpsrUnderflow;
  if ((mxcsr & 0x20) != 0) fpsr |= ir::kFpsrInexact;
  return fpsr;
}

}  // namespace dd::select::x64
