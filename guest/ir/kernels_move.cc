// The interpreter: vectors moved, permuted, combined bit by bit.
#include "guest/ir/kernels.h"

namespace dd::ir::kernel {

namespace {

// How many elements a permutation's operands have.
uint32_t Count(const Op& op) { return (op.bits & kHalf ? 8 : 16) / Bytes(op.width); }

// v as far as the operation has elements.
V128 Cut(const Op& op, V128 v) {
  if (op.bits & kScalar) {
    const uint64_t element = Element(v, op.width, 0);
    v = ZeroV();
    SetElement(v, op.width, 0, element);
  } else if (op.bits & kHalf) {
    v.d[1] = 0;
  }
  return v;
}

// dst's element i = f(i).
template <typename F>
void Fill(State& state, const Op& op, F f) {
  V128 result = ZeroV();
  for (uint32_t i = 0; i < Elements(op); i++) SetElement(result, op.width, i, f(i));
  WriteV(state, op.dst, result);
}

template <typename F>
void Bitwise(State& state, const Op& op, F f) {
  const V128 a = ReadV(state, op.a);
  const V128 b = ReadV(state, op.b);
  V128 result;
  for (uint32_t i = 0; i < 2; i++) result.d[i] = f(a.d[i], b.d[i]);
  WriteV(state, op.dst, Cut(op, result));
}

}  // namespace

void VMov(State& s, const Op& op) { WriteV(s, op.dst, Cut(op, ReadV(s, op.a))); }
void VZero(State& s, const Op& op) { WriteV(s, op.dst, ZeroV()); }
void VConst(State& s, const Op& op) {
  V128 value;
  value.d[0] = value.d[1] = static_cast<uint64_t>(op.imm);
  WriteV(s, op.dst, Cut(op, value));
}
void VDup(State& s, const Op& op) {
  const uint64_t value = ReadG(s, op, op.a);
  Fill(s, op, [&](uint32_t) { return value; });
}
void VDupLane(State& s, const Op& op) {
  const uint64_t value = Element(ReadV(s, op.a), op.width, op.lane);
  Fill(s, op, [&](uint32_t) { return value; });
}
void VInsert(State& s, const Op& op) {
  V128 value = ReadV(s, op.a);
  SetElement(value, op.width, op.lane, ReadG(s, op, op.b));
  WriteV(s, op.dst, value);
}
void VInsertLane(State& s, const Op& op) {
  V128 value = ReadV(s, op.a);
  SetElement(value, op.width, op.lane, Element(ReadV(s, op.b), op.width, op.extra));
  WriteV(s, op.dst, value);
}
void VExtract(State& s, const Op& op) {
  const uint64_t element = Element(ReadV(s, op.a), op.width, op.lane);
  if (!IsSigned(op)) return WriteG(s, op.dst, element);
  const uint64_t value = static_cast<uint64_t>(SignExtend(element, Bits(op.width)));
  WriteG(s, op.dst, Truncate(value, Bits(static_cast<Width>(op.extra))));
}
void VSelectCond(State& s, const Op& op) {
  WriteV(s, op.dst, Cut(op, ReadV(s, Holds(op.cond, s.flags) ? op.a : op.b)));
}

void VZip(State& s, const Op& op) {
  const V128 a = ReadV(s, op.a);
  const V128 b = ReadV(s, op.b);
  const uint32_t first = op.lane * Count(op) / 2;
  Fill(s, op, [&](uint32_t i) { return Element(i % 2 == 0 ? a : b, op.width, first + i / 2); });
}
void VUzp(State& s, const Op& op) {
  const V128 a = ReadV(s, op.a);
  const V128 b = ReadV(s, op.b);
  const uint32_t count = Count(op);
  // A scalar's pair: its element `lane`.
  if (count == 1)
    return Fill(s, op, [&](uint32_t) { return Element(op.lane == 0 ? a : b, op.width, 0); });
  Fill(s, op, [&](uint32_t i) {
    const uint32_t from = 2 * i + op.lane;
    return from < count ? Element(a, op.width, from) : Element(b, op.width, from - count);
  });
}
void VTrn(State& s, const Op& op) {
  const V128 a = ReadV(s, op.a);
  const V128 b = ReadV(s, op.b);
  Fill(s, op,
       [&](uint32_t i) { return Element(i % 2 == 0 ? a : b, op.width, (i & ~1u) + op.lane); });
}
void VExt(State& s, const Op& op) {
  const V128 a = ReadV(s, op.a);
  const V128 b = ReadV(s, op.b);
  const uint32_t count = op.bits & kHalf ? 8 : 16;
  V128 result = ZeroV();
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t from = i + static_cast<uint32_t>(op.imm);
    result.b[i] = from < count ? a.b[from] : b.b[from - count];
  }
  WriteV(s, op.dst, result);
}
void VReverse(State& s, const Op& op) {
  const V128 a = ReadV(s, op.a);
  const uint32_t unit = Bytes(static_cast<Width>(op.extra)) / Bytes(op.width);
  Fill(s, op, [&](uint32_t i) { return Element(a, op.width, i ^ (unit - 1)); });
}
void VTable(State& s, const Op& op) {
  const V128 table = ReadV(s, op.a);
  const V128 index = ReadV(s, op.b);
  V128 result = Cut(op, ReadV(s, op.c));
  for (uint32_t i = 0; i < Count(op); i++) {
    const uint32_t at = index.b[i] - static_cast<uint32_t>(op.imm);
    if (at < 16) result.b[i] = table.b[at];
  }
  WriteV(s, op.dst, result);
}
void VUnzip3(State& s, const Op& op) {
  const V128 in[] = {ReadV(s, op.a), ReadV(s, op.b), ReadV(s, op.c)};
  const uint32_t count = Count(op);
  Fill(s, op, [&](uint32_t i) {
    const uint32_t from = 3 * i + op.lane;
    return Element(in[from / count], op.width, from % count);
  });
}
void VZip3(State& s, const Op& op) {
  const V128 in[] = {ReadV(s, op.a), ReadV(s, op.b), ReadV(s, op.c)};
  const uint32_t first = op.lane * Count(op);
  Fill(s, op, [&](uint32_t i) { return Element(in[(first + i) % 3], op.width, (first + i) / 3); });
}

void VAnd(State& s, const Op& op) {
  Bitwise(s, op, [](uint64_t a, uint64_t b) { return a & b; });
}
void VOr(State& s, const Op& op) {
  Bitwise(s, op, [](uint64_t a, uint64_t b) { return a | b; });
}
void VXor(State& s, const Op& op) {
  Bitwise(s, op, [](uint64_t a, uint64_t b) { return a ^ b; });
}
void VAndNot(State& s, const Op& op) {
  Bitwise(s, op, [](uint64_t a, uint64_t b) { return a & ~b; });
}
void VOrNot(State& s, const Op& op) {
  Bitwise(s, op, [](uint64_t a, uint64_t b) { return a | ~b; });
}
void VNot(State& s, const Op& op) {
  Bitwise(s, op, [](uint64_t a, uint64_t) { return ~a; });
}
void VSelect(State& s, const Op& op) {
  const V128 a = ReadV(s, op.a);
  const V128 b = ReadV(s, op.b);
  const V128 c = ReadV(s, op.c);
  V128 result;
  for (uint32_t i = 0; i < 2; i++) result.d[i] = (a.d[i] & c.d[i]) | (b.d[i] & ~c.d[i]);
  WriteV(s, op.dst, Cut(op, result));
}

}  // namespace dd::ir::kernel
