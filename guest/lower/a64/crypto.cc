// Cryptography: AES, SHA-1, SHA-2, SHA-3, carry-less products.
#include "guest/lower/a64/vector.h"

namespace dd::lower::a64 {

using enum ir::OpCode;

namespace {

void Emit(Lowering& l, OpCode code, Ref dst, Ref a, Ref b = {}, Ref c = {}, uint8_t lane = 0) {
  l.Emit(code, Width::k128, dst, a, b, c).lane = lane;
}

void PolynomialLong(Lowering& l, Word w) {
  const uint32_t size = w.At(22, 2);
  if (size != 0 && size != 3) return l.Undefined();
  l.Emit(kVPolyMulWide, static_cast<Width>(size), Vd(w), Vn(w), Vm(w)).lane = HalfOf(w);
}

// dst = a rotated to the right, in halves of 64 bits.
void Rotate(Lowering& l, Ref dst, Ref a, uint32_t right) {
  if (right == 0) {
    l.Emit(kVMov, Width::k64, dst, a);
    return;
  }
  const Ref low = l.Temp();
  const Ref high = l.Temp();
  l.Emit(kVShr, Width::k64, low, a).imm = right;
  l.Emit(kVShl, Width::k64, high, a).imm = 64 - right;
  l.Emit(kVOr, Width::k64, dst, low, high);
}

// EOR3 and BCAX: n ^ code(m, a).
void Three(Lowering& l, Word w, OpCode code) {
  const Ref other = l.Temp();
  l.Emit(code, Width::k64, other, Vm(w), l.V(w.ra()));
  l.Emit(kVXor, Width::k64, Vd(w), Vn(w), other);
}

void XorRotate(Lowering& l, Word w) {
  const Ref sum = l.Temp();
  l.Emit(kVXor, Width::k64, sum, Vn(w), Vm(w));
  Rotate(l, Vd(w), sum, w.At(10, 6));
}

void RotateXor(Lowering& l, Word w) {
  const Ref rotated = l.Temp();
  Rotate(l, rotated, Vm(w), 63);
  l.Emit(kVXor, Width::k64, Vd(w), Vn(w), rotated);
}

}  // namespace

DD_LOWER(PMULL_v, PolynomialLong(l, w))
DD_LOWER(AESE, Emit(l, kAesEncrypt, Vd(w), Vd(w), Vn(w)))
DD_LOWER(AESD, Emit(l, kAesDecrypt, Vd(w), Vd(w), Vn(w)))
DD_LOWER(AESMC, Emit(l, kAesMixColumns, Vd(w), Vn(w)))
DD_LOWER(AESIMC, Emit(l, kAesInverseMixColumns, Vd(w), Vn(w)))
DD_LOWER(SHA1C, Emit(l, kSha1Hash, Vd(w), Vd(w), Vn(w), Vm(w), 0))
DD_LOWER(SHA1P, Emit(l, kSha1Hash, Vd(w), Vd(w), Vn(w), Vm(w), 1))
DD_LOWER(SHA1M, Emit(l, kSha1Hash, Vd(w), Vd(w), Vn(w), Vm(w), 2))
DD_LOWER(SHA1H, Emit(l, kSha1Rotate, Vd(w), Vn(w)))
DD_LOWER(SHA1SU0, Emit(l, kSha1Schedule0, Vd(w), Vd(w), Vn(w), Vm(w)))
DD_LOWER(SHA1SU1, Emit(l, kSha1Schedule1, Vd(w), Vd(w), Vn(w)))
DD_LOWER(SHA256H, Emit(l, kSha256Hash, Vd(w), Vd(w), Vn(w), Vm(w), 0))
DD_LOWER(SHA256H2, Emit(l, kSha256Hash, Vd(w), Vd(w), Vn(w), Vm(w), 1))
DD_LOWER(SHA256SU0, Emit(l, kSha256Schedule0, Vd(w), Vd(w), Vn(w)))
DD_LOWER(SHA256SU1, Emit(l, kSha256Schedule1, Vd(w), Vd(w), Vn(w), Vm(w)))
DD_LOWER(SHA512H, Emit(l, kSha512Hash, Vd(w), Vd(w), Vn(w), Vm(w), 0))
DD_LOWER(SHA512H2, Emit(l, kSha512Hash, Vd(w), Vd(w), Vn(w), Vm(w), 1))
DD_LOWER(SHA512SU0, Emit(l, kSha512Schedule0, Vd(w), Vd(w), Vn(w)))
DD_LOWER(SHA512SU1, Emit(l, kSha512Schedule1, Vd(w), Vd(w), Vn(w), Vm(w)))
DD_LOWER(RAX1, RotateXor(l, w))
DD_LOWER(EOR3, Three(l, w, kVXor))
DD_LOWER(BCAX, Three(l, w, kVAndNot))
DD_LOWER(XAR, XorRotate(l, w))

}  // namespace dd::lower::a64
