// SHA-1 and SHA-256 where the host has instructions for them, which have the first word in the
// highest element. Those of SHA-1 add the rounds' constant, which the guest has added already;
// those of SHA-256 keep a, b, e, f and c, d, g, h together, and do two rounds.
#include "guest/select/x64/codegen.h"

namespace dd::select::x64 {

namespace vex = emit::x64::vex;
using ir::Op;

namespace {

constexpr Xmm kX0 = Xmm::kX0;
constexpr uint8_t kReverse = 0x1b;  // of four elements
constexpr uint8_t kUpperHalf = 0x0e;
// Kinds of PshiftImm.
constexpr uint8_t kRight = 2, kLeft = 6;
constexpr uint32_t kSha1Constants[] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc};

}  // namespace

bool Codegen::Sha1Hash(const Op& op) {
  if (!env_->has_sha) return false;
  needs_sha_ = true;
  WithV(op.c, [&](auto words) { Pshufd(kX14, words, kReverse); });
  MovImm(kRax, kSha1Constants[op.lane]);
  MovFromGpr(Size::k32, kX13, kRax);
  V(vex::kPbroadcastd, kX13, kX13);
  V(vex::kPsubd, kX14, kX14, kX13);
  PshiftBytes(true, kX13, UseV(op.b, kX13), 12);
  V(vex::kPaddd, kX14, kX14, kX13);
  WithV(op.a, [&](auto abcd) { Pshufd(kX15, abcd, kReverse); });
  Sha1Rounds(kX15, kX14, op.lane);
  Pshufd(kX15, kX15, kReverse);
  DefineV(op.dst, kX15, Upper::kUnknown);
  return true;
}

bool Codegen::Sha1Rotate(const Op& op) {
  MovToGpr(Size::k32, kRax, UseV(op.a, kX15));
  Rorx(Size::k32, kRax, kRax, 2);
  MovFromGpr(Size::k32, kX15, kRax);
  DefineV(op.dst, kX15, Upper::kZeroFrom32);
  return true;
}

bool Codegen::Sha1Schedule0(const Op& op) {
  const Xmm a = UseV(op.a, kX13);
  WithV(op.c, [&](auto c) { V(vex::kPxor, kX15, a, c); });
  Palignr(kX14, UseV(op.b, kX14), a, 8);
  V(vex::kPxor, kX15, kX15, kX14);
  DefineV(op.dst, kX15, Upper::kUnknown);
  return true;
}

// Each element to the left.
void Codegen::RotateByOne(Xmm dst, Xmm from, Xmm scratch) {
  PshiftImm(Size::k32, kRight, scratch, from, 31);
  PshiftImm(Size::k32, kLeft, dst, from, 1);
  V(vex::kPor, dst, dst, scratch);
}

bool Codegen::Sha1Schedule1(const Op& op) {
  PshiftBytes(false, kX15, UseV(op.b, kX15), 4);
  WithV(op.a, [&](auto a) { V(vex::kPxor, kX15, kX15, a); });
  RotateByOne(kX15, kX15, kX14);
  // The last element depends on the first one as it is now.
  PshiftBytes(true, kX13, kX15, 12);
  RotateByOne(kX13, kX13, kX14);
  V(vex::kPxor, kX15, kX15, kX13);
  DefineV(op.dst, kX15, Upper::kUnknown);
  return true;
}

bool Codegen::Sha256Hash(const Op& op) {
  if (!env_->has_sha) return false;
  needs_sha_ = true;
  const bool second = op.lane != 0;
  WithV(second ? op.b : op.a, [&](auto abcd) { Pshufd(kX13, abcd, kReverse); });
  WithV(second ? op.a : op.b, [&](auto efgh) { Pshufd(kX14, efgh, kReverse); });
  V(vex::kPunpckhqdq, kX15, kX14, kX13);
  V(vex::kPunpcklqdq, kX14, kX14, kX13);
  const Mem saved = StateMem(offsetof(ir::State, scratch) + 8 * kScratchXmm0);
  Movups(saved, kX0);
  const Xmm words = UseV(op.c, kX13);
  if (words != kX0) Movaps(kX0, words);
  Sha256Rounds(kX14, kX15);
  Pshufd(kX0, kX0, kUpperHalf);
  Sha256Rounds(kX15, kX14);
  Movups(kX0, saved);
  V(second ? vex::kPunpcklqdq : vex::kPunpckhqdq, kX15, kX14, kX15);
  Pshufd(kX15, kX15, kReverse);
  DefineV(op.dst, kX15, Upper::kUnknown);
  return true;
}

bool Codegen::Sha256Schedule0(const Op& op) {
  if (!env_->has_sha) return false;
  needs_sha_ = true;
  const Xmm a = UseV(op.a, kX15);
  const Xmm b = UseV(op.b, kX14);
  if (a != kX15) Movaps(kX15, a);
  Sha256Message1(kX15, b);
  DefineV(op.dst, kX15, Upper::kUnknown);
  return true;
}

bool Codegen::Sha256Schedule1(const Op& op) {
  if (!env_->has_sha) return false;
  needs_sha_ = true;
  const Xmm c = UseV(op.c, kX14);
  WithV(op.b, [&](auto b) { Palignr(kX15, c, b, 4); });
  WithV(op.a, [&](auto a) { V(vex::kPaddd, kX15, kX15, a); });
  Sha256Message2(kX15, c);
  DefineV(op.dst, kX15, Upper::kUnknown);
  return true;
}

}  // namespace dd::select::x64
