// SHA-256 where the host has instructions for it. They keep a, b, e, f and c, d, g, h together,
// from the highest element down, and do two rounds.
#include "guest/select/x64/codegen.h"

namespace dd::select::x64 {

namespace vex = emit::x64::vex;
using ir::Op;

namespace {

constexpr Xmm kX0 = Xmm::kX0;
constexpr uint8_t kReverse = 0x1b;  // of four elements
constexpr uint8_t kUpperHalf = 0x0e;

}  // namespace

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
