// Loads and stores of general, vector and floating-point registers, exclusives, atomics.
#include "guest/lower/a64/lowering.h"

namespace dd::lower::a64 {

using enum ir::OpCode;
using ir::Extend;

namespace {

// What a load or store does, whatever its address is.
struct Access {
  OpCode code;
  Width width;
  uint8_t bits = 0;
  Width to = Width::k64;  // signed loads: what is extended to
};

struct Address {
  Ref base;
  int64_t displacement = 0;
  Ref index = {};
  Extend extend = Extend::kNone;
  uint8_t shift = 0;
};

bool IsLoad(const Access& access) { return access.code == kLoad || access.code == kLoadVector; }
bool IsVector(const Access& access) {
  return access.code == kLoadVector || access.code == kStoreVector;
}

Op& EmitAccess(Lowering& l, const Access& access, const Address& address, Ref dst, Ref value) {
  Op& op =
      l.EmitBits(access.bits, access.code, access.width, dst, address.base, address.index, value);
  op.imm = address.displacement;
  op.lane = address.shift;
  op.extra = ir::MemoryExtra(address.extend, access.to);
  return op;
}

// One register, rt, at an address.
void Transfer(Lowering& l, Word w, const Access& access, const Address& address) {
  const uint32_t rt = w.rt();
  if (IsLoad(access)) {
    EmitAccess(l, access, address, IsVector(access) ? l.V(rt) : l.ToXOrTemp(rt), {});
  } else {
    EmitAccess(l, access, address, {}, IsVector(access) ? l.V(rt) : l.X(rt));
  }
}

void WriteBack(Lowering& l, uint32_t rn, int64_t by) {
  if (by == 0) return;
  l.EmitImm(kAdd, Width::k64, l.XOrSp(rn), l.XOrSp(rn), by);
}

Width Size(Word w) { return static_cast<Width>(w.At(30, 2)); }

// Of vector and floating-point registers: bit 23 makes the smallest size the greatest; false for
// the sizes that do not exist.
bool VectorSize(Word w, Width* to) {
  *to = Size(w);
  if (!w.Bit(23)) return true;
  if (*to != Width::k8) return false;
  *to = Width::k128;
  return true;
}

// The access of a row's size field. PRFM is what a signed load of 64 bits would be: nothing to do.
enum class Kind : uint8_t { kStore, kLoad, kSigned64, kSigned32, kVectorStore, kVectorLoad };

bool AccessOf(Word w, Kind kind, Access* to) {
  const Width size = Size(w);
  switch (kind) {
    case Kind::kStore:
      *to = {kStore, size};
      return true;
    case Kind::kLoad:
      *to = {kLoad, size};
      return true;
    case Kind::kSigned64:
      *to = {kLoad, size, ir::kSigned, Width::k64};
      return size != Width::k64;
    case Kind::kSigned32:
      *to = {kLoad, size, ir::kSigned, Width::k32};
      return size < Width::k32;
    case Kind::kVectorStore:
      to->code = kStoreVector;
      return VectorSize(w, &to->width);
    case Kind::kVectorLoad:
      to->code = kLoadVector;
      return VectorSize(w, &to->width);
  }
  return false;
}

bool IsPrefetch(Word w, Kind kind) { return kind == Kind::kSigned64 && Size(w) == Width::k64; }

enum Indexing : uint32_t { kUnscaled = 0, kPost = 1, kUnprivileged = 2, kPre = 3 };

// Bits 20..12 are the offset, bits 11..10 how it is used.
void ShortOffset(Lowering& l, Word w, Kind kind) {
  const uint32_t indexing = w.At(10, 2);
  const int64_t offset = w.Signed(12, 9);
  if (IsPrefetch(w, kind)) {
    if (indexing != kUnscaled) l.Undefined();
    return;
  }
  Access access{};
  if (!AccessOf(w, kind, &access)) return l.Undefined();
  const bool writes_back = indexing == kPost || indexing == kPre;
  if (IsVector(access) && indexing == kUnprivileged) return l.Undefined();
  // The base would be written twice: unpredictable, so undefined is allowed.
  if (writes_back && IsLoad(access) && !IsVector(access) && w.rt() == w.rn() &&
      w.rn() != kThirtyOne) {
    return l.Undefined();
  }
  Transfer(l, w, access, {l.XOrSp(w.rn()), indexing == kPost ? 0 : offset});
  if (writes_back) WriteBack(l, w.rn(), offset);
}

void ScaledOffset(Lowering& l, Word w, Kind kind) {
  if (IsPrefetch(w, kind)) return;
  Access access{};
  if (!AccessOf(w, kind, &access)) return l.Undefined();
  const int64_t offset = int64_t{w.At(10, 12)} << static_cast<uint32_t>(access.width);
  Transfer(l, w, access, {l.XOrSp(w.rn()), offset});
}

void RegisterOffset(Lowering& l, Word w, Kind kind) {
  constexpr uint32_t kUxtw = 2;
  constexpr uint32_t kLsl = 3;
  constexpr uint32_t kSxtw = 6;
  constexpr uint32_t kSxtx = 7;
  const uint32_t option = w.At(13, 3);
  if (option != kUxtw && option != kLsl && option != kSxtw && option != kSxtx) {
    return l.Undefined();
  }
  if (IsPrefetch(w, kind)) return;
  Access access{};
  if (!AccessOf(w, kind, &access)) return l.Undefined();
  Address address{l.XOrSp(w.rn())};
  if (w.rm() != kThirtyOne) {
    address.index = Ref::G(w.rm());
    address.extend = option == kUxtw   ? Extend::kUxtw
                     : option == kSxtw ? Extend::kSxtw
                                       : Extend::kNone;
    address.shift = w.Bit(12) ? static_cast<uint8_t>(access.width) : uint8_t{0};
  }
  Transfer(l, w, access, address);
}

void Literal(Lowering& l, Word w, const Access& access) {
  const uint64_t address = l.pc() + static_cast<uint64_t>(w.Signed(5, 19) * 4);
  Transfer(l, w, access, {l.Constant(static_cast<int64_t>(address))});
}

void LiteralVector(Lowering& l, Word w) {
  const uint32_t size = w.At(30, 2);
  if (size == 3) return l.Undefined();
  Literal(l, w, {kLoadVector, static_cast<Width>(size + 2)});
}

void Pair(Lowering& l, Word w, const Access& access) {
  const uint32_t mode = w.At(23, 2);  // 0: non-temporal, 1: post, 2: offset, 3: pre
  const uint32_t first = w.rt();
  const uint32_t second = w.At(10, 5);
  const bool vector = IsVector(access);
  const bool writes_back = mode == kPost || mode == kPre;
  const int64_t bytes = int64_t{1} << static_cast<uint32_t>(access.width);
  const int64_t offset = w.Signed(15, 7) * bytes;
  const int64_t displacement = mode == kPost ? 0 : offset;
  const Ref base = l.XOrSp(w.rn());
  if (!IsLoad(access)) {
    EmitAccess(l, access, {base, displacement}, {}, vector ? l.V(first) : l.X(first));
    EmitAccess(l, access, {base, displacement + bytes}, {}, vector ? l.V(second) : l.X(second));
  } else {
    const bool clashes = !vector && w.rn() != kThirtyOne && (first == w.rn() || second == w.rn());
    if (clashes && writes_back) return l.Undefined();
    // The base is overwritten last: until then the instruction can be repeated.
    const bool first_is_base = clashes && first == w.rn();
    const Ref to = vector ? l.V(first) : first_is_base ? l.Temp() : l.ToXOrTemp(first);
    EmitAccess(l, access, {base, displacement}, to, {});
    EmitAccess(l, access, {base, displacement + bytes}, vector ? l.V(second) : l.ToXOrTemp(second),
               {});
    if (first_is_base && second != first) l.Emit(kMov, Width::k64, Ref::G(first), to);
  }
  if (writes_back) WriteBack(l, w.rn(), offset);
}

void PairSigned(Lowering& l, Word w) {
  if (w.At(23, 2) == 0) return l.Undefined();
  Pair(l, w, {kLoad, Width::k32, ir::kSigned, Width::k64});
}

void PairVector(Lowering& l, Word w, OpCode code) {
  const uint32_t size = w.At(30, 2);
  if (size == 3) return l.Undefined();
  Pair(l, w, {code, static_cast<Width>(size + 2)});
}

// Bits 23 or 22 (acquire) and 22 or 15 (release), by format.
uint8_t Order(bool acquires, bool releases) {
  return static_cast<uint8_t>((acquires ? ir::kAcquire : 0) | (releases ? ir::kRelease : 0));
}

Ref Base(Word w) { return Lowering::XOrSp(w.rn()); }

Width PairSize(Word w) { return w.Bit(30) ? Width::k64 : Width::k32; }

void StoreExclusive(Lowering& l, Word w) {
  const Ref value = l.X(w.rt());
  l.EmitBits(Order(false, w.Bit(15)), kStoreExclusive, Size(w), l.ToX(w.At(16, 5)), Base(w), value);
}

void LoadExclusive(Lowering& l, Word w) {
  l.EmitBits(Order(w.Bit(15), false), kLoadExclusive, Size(w), l.ToXOrTemp(w.rt()), Base(w));
}

void StoreExclusivePair(Lowering& l, Word w) {
  const Ref low = l.X(w.rt());
  const Ref high = l.X(w.At(10, 5));
  l.EmitBits(Order(false, w.Bit(15)), kStoreExclusivePair, PairSize(w), l.ToX(w.At(16, 5)), Base(w),
             low, high);
}

void LoadExclusivePair(Lowering& l, Word w) {
  const Ref low = l.ToXOrTemp(w.rt());
  const Ref high = l.ToXOrTemp(w.At(10, 5));
  l.EmitBits(Order(w.Bit(15), false), kLoadExclusivePair, PairSize(w), low, Base(w), high);
}

void Ordered(Lowering& l, Word w, OpCode code) {
  const uint8_t bits = code == kLoad ? Order(true, false) : Order(false, true);
  Transfer(l, w, {code, Size(w), bits}, {Base(w)});
}

void Atomic(Lowering& l, Word w, OpCode code, uint8_t bits = 0) {
  const Ref value = l.X(w.At(16, 5));
  bits |= Order(w.Bit(23), w.Bit(22));
  l.EmitBits(bits, code, Size(w), l.ToX(w.rt()), Base(w), value);
}

void CompareAndSwap(Lowering& l, Word w) {
  const Ref expected = l.X(w.At(16, 5));
  const Ref desired = l.X(w.rt());
  l.EmitBits(Order(w.Bit(22), w.Bit(15)), kCompareSwap, Size(w), l.ToX(w.At(16, 5)), Base(w),
             expected, desired);
}

// Registers n and n + 1 in two temporaries that follow each other.
Ref CopyPair(Lowering& l, uint32_t n) {
  const Ref low = l.Temp();
  const Ref high = l.Temp();
  l.Emit(kMov, Width::k64, low, Ref::G(n));
  if (n + 1 == kThirtyOne) {
    l.Emit(kMov, Width::k64, high, Ref::Imm());
  } else {
    l.Emit(kMov, Width::k64, high, Ref::G(n + 1));
  }
  return low;
}

void CompareAndSwapPair(Lowering& l, Word w) {
  const uint32_t s = w.At(16, 5);
  const uint32_t t = w.rt();
  if (s % 2 != 0 || t % 2 != 0) return l.Undefined();
  const Ref expected = CopyPair(l, s);
  const Ref desired = CopyPair(l, t);
  const Ref low = l.Temp();
  const Ref high = l.Temp();
  l.EmitBits(Order(w.Bit(22), w.Bit(15)), kCompareSwapPair, PairSize(w), low, Base(w), expected,
             desired);
  l.Emit(kMov, Width::k64, Ref::G(s), low);
  if (s + 1 != kThirtyOne) l.Emit(kMov, Width::k64, Ref::G(s + 1), high);
}

}  // namespace

DD_LOWER(LDR_lit, Literal(l, w, {kLoad, w.Bit(30) ? Width::k64 : Width::k32}))
DD_LOWER(LDRSW_lit, Literal(l, w, {kLoad, Width::k32, ir::kSigned}))
DD_LOWER(PRFM_lit, )
DD_LOWER(LDR_lit_v, LiteralVector(l, w))

DD_LOWER(STP, Pair(l, w, {kStore, w.sf()}))
DD_LOWER(LDP, Pair(l, w, {kLoad, w.sf()}))
DD_LOWER(LDPSW, PairSigned(l, w))
DD_LOWER(STP_v, PairVector(l, w, kStoreVector))
DD_LOWER(LDP_v, PairVector(l, w, kLoadVector))

DD_LOWER(STR_imm9, ShortOffset(l, w, Kind::kStore))
DD_LOWER(LDR_imm9, ShortOffset(l, w, Kind::kLoad))
DD_LOWER(LDRS_64_imm9, ShortOffset(l, w, Kind::kSigned64))
DD_LOWER(LDRS_32_imm9, ShortOffset(l, w, Kind::kSigned32))
DD_LOWER(STR_imm9_v, ShortOffset(l, w, Kind::kVectorStore))
DD_LOWER(LDR_imm9_v, ShortOffset(l, w, Kind::kVectorLoad))

DD_LOWER(STR_reg, RegisterOffset(l, w, Kind::kStore))
DD_LOWER(LDR_reg, RegisterOffset(l, w, Kind::kLoad))
DD_LOWER(LDRS_64_reg, RegisterOffset(l, w, Kind::kSigned64))
DD_LOWER(LDRS_32_reg, RegisterOffset(l, w, Kind::kSigned32))
DD_LOWER(STR_reg_v, RegisterOffset(l, w, Kind::kVectorStore))
DD_LOWER(LDR_reg_v, RegisterOffset(l, w, Kind::kVectorLoad))

DD_LOWER(STR_imm12, ScaledOffset(l, w, Kind::kStore))
DD_LOWER(LDR_imm12, ScaledOffset(l, w, Kind::kLoad))
DD_LOWER(LDRS_64_imm12, ScaledOffset(l, w, Kind::kSigned64))
DD_LOWER(LDRS_32_imm12, ScaledOffset(l, w, Kind::kSigned32))
DD_LOWER(STR_imm12_v, ScaledOffset(l, w, Kind::kVectorStore))
DD_LOWER(LDR_imm12_v, ScaledOffset(l, w, Kind::kVectorLoad))

DD_LOWER(STXR, StoreExclusive(l, w))
DD_LOWER(LDXR, LoadExclusive(l, w))
DD_LOWER(STXP, StoreExclusivePair(l, w))
DD_LOWER(LDXP, LoadExclusivePair(l, w))
DD_LOWER(STLR, Ordered(l, w, kStore))
DD_LOWER(LDAR, Ordered(l, w, kLoad))
DD_LOWER(LDAPR, Ordered(l, w, kLoad))

DD_LOWER(CASP, CompareAndSwapPair(l, w))
DD_LOWER(CAS, CompareAndSwap(l, w))
DD_LOWER(LDADD, Atomic(l, w, kAtomicAdd))
DD_LOWER(LDCLR, Atomic(l, w, kAtomicAndNot))
DD_LOWER(LDEOR, Atomic(l, w, kAtomicXor))
DD_LOWER(LDSET, Atomic(l, w, kAtomicOr))
DD_LOWER(LDSMAX, Atomic(l, w, kAtomicMax, ir::kSigned))
DD_LOWER(LDSMIN, Atomic(l, w, kAtomicMin, ir::kSigned))
DD_LOWER(LDUMAX, Atomic(l, w, kAtomicMax))
DD_LOWER(LDUMIN, Atomic(l, w, kAtomicMin))
DD_LOWER(SWP, Atomic(l, w, kAtomicSwap))

}  // namespace dd::lower::a64
