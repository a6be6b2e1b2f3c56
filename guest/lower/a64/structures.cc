// Vector loads and stores of structures: elements of one to four registers in turn.
#include "guest/lower/a64/vector.h"

namespace dd::lower::a64 {

using enum ir::OpCode;

namespace {

constexpr uint32_t kMost = 4;

int64_t BytesOf(Width width) { return int64_t{1} << static_cast<uint32_t>(width); }

Ref Register(Word w, uint32_t i) { return Lowering::V((w.rt() + i) % 32); }

// Post-index: by as much as was transferred, or by a register.
void WriteBack(Lowering& l, Word w, int64_t bytes) {
  const Ref base = l.XOrSp(w.rn());
  if (w.rm() == kThirtyOne) {
    l.EmitImm(kAdd, Width::k64, base, base, bytes);
  } else {
    l.Emit(kAdd, Width::k64, base, base, Ref::G(w.rm()));
  }
}

struct Multiple {
  uint32_t registers;
  uint32_t elements;  // of one structure
};

bool ReadMultiple(Word w, Multiple* to) {
  switch (w.At(12, 4)) {
    case 0b0000:
      *to = {4, 4};
      return true;
    case 0b0010:
      *to = {4, 1};
      return true;
    case 0b0100:
      *to = {3, 3};
      return true;
    case 0b0110:
      *to = {3, 1};
      return true;
    case 0b0111:
      *to = {1, 1};
      return true;
    case 0b1000:
      *to = {2, 2};
      return true;
    case 0b1010:
      *to = {2, 1};
      return true;
    default:
      return false;
  }
}

// dst = code(a, b), by `lane`.
void Shuffle(Lowering& l, const Shape& shape, OpCode code, uint8_t lane, Ref dst, Ref a, Ref b,
             Ref c = {}) {
  EmitShape(l, shape, code, dst, a, b, c).lane = lane;
}

// Registers from memory's order; `in` are the vectors as loaded.
void Deinterleave(Lowering& l, Word w, const Shape& shape, uint32_t elements, const Ref* in) {
  if (elements == 2) {
    Shuffle(l, shape, kVUzp, 0, Register(w, 0), in[0], in[1]);
    Shuffle(l, shape, kVUzp, 1, Register(w, 1), in[0], in[1]);
  } else if (elements == 3) {
    for (uint8_t i = 0; i < 3; i++) {
      Shuffle(l, shape, kVUnzip3, i, Register(w, i), in[0], in[1], in[2]);
    }
  } else {
    const Ref half[kMost] = {l.Temp(), l.Temp(), l.Temp(), l.Temp()};
    for (uint8_t odd = 0; odd < 2; odd++) {
      Shuffle(l, shape, kVUzp, odd, half[odd], in[0], in[1]);
      Shuffle(l, shape, kVUzp, odd, half[2 + odd], in[2], in[3]);
    }
    for (uint8_t i = 0; i < 4; i++) {
      Shuffle(l, shape, kVUzp, i >> 1, Register(w, i), half[i & 1], half[2 + (i & 1)]);
    }
  }
}

// The vectors as they are stored, from the registers.
void Interleave(Lowering& l, Word w, const Shape& shape, uint32_t elements, Ref* out) {
  for (uint32_t i = 0; i < elements; i++) out[i] = l.Temp();
  if (elements == 2) {
    Shuffle(l, shape, kVZip, 0, out[0], Register(w, 0), Register(w, 1));
    Shuffle(l, shape, kVZip, 1, out[1], Register(w, 0), Register(w, 1));
  } else if (elements == 3) {
    for (uint8_t i = 0; i < 3; i++) {
      Shuffle(l, shape, kVZip3, i, out[i], Register(w, 0), Register(w, 1), Register(w, 2));
    }
  } else {
    // Registers 0 and 2, 1 and 3, then both.
    const Ref even[2] = {l.Temp(), l.Temp()};
    const Ref odd[2] = {l.Temp(), l.Temp()};
    for (uint8_t i = 0; i < 2; i++) {
      Shuffle(l, shape, kVZip, i, even[i], Register(w, 0), Register(w, 2));
      Shuffle(l, shape, kVZip, i, odd[i], Register(w, 1), Register(w, 3));
    }
    for (uint8_t i = 0; i < 4; i++) {
      Shuffle(l, shape, kVZip, i & 1, out[i], even[i >> 1], odd[i >> 1]);
    }
  }
}

void MultipleStructures(Lowering& l, Word w, bool loads, bool writes_back) {
  Multiple m{};
  const Shape shape{static_cast<Width>(w.At(10, 2)), LengthBits(w)};
  if (!ReadMultiple(w, &m)) return l.Undefined();
  if (m.elements != 1 && shape.width == Width::k64 && !IsWhole(w)) return l.Undefined();
  const Width width = IsWhole(w) ? Width::k128 : Width::k64;
  Ref moved[kMost];
  for (uint32_t i = 0; i < m.registers; i++) moved[i] = Register(w, i);
  if (m.elements > 1 && loads) {
    for (uint32_t i = 0; i < m.registers; i++) moved[i] = l.Temp();
  } else if (m.elements > 1) {
    Interleave(l, w, shape, m.elements, moved);
  }
  for (uint32_t i = 0; i < m.registers; i++) {
    const Ref base = l.XOrSp(w.rn());
    Op& op = loads ? l.Emit(kLoadVector, width, moved[i], base)
                   : l.Emit(kStoreVector, width, {}, base, {}, moved[i]);
    op.imm = i * BytesOf(width);
  }
  if (m.elements > 1 && loads) Deinterleave(l, w, shape, m.elements, moved);
  if (writes_back) WriteBack(l, w, m.registers * BytesOf(width));
}

struct Single {
  Width width;
  uint32_t elements;
  uint8_t lane;
  bool replicates;
};

bool ReadSingle(Word w, bool loads, Single* to) {
  const uint32_t opcode = w.At(13, 3);
  const uint32_t size = w.At(10, 2);
  const bool s = w.Bit(12);
  const uint32_t index = (IsWhole(w) ? 8u : 0u) | (s ? 4u : 0u) | size;
  to->elements = ((opcode & 1) << 1 | w.At(21, 1)) + 1;
  to->replicates = false;
  switch (opcode >> 1) {
    case 0:
      to->width = Width::k8;
      to->lane = static_cast<uint8_t>(index);
      return true;
    case 1:
      to->width = Width::k16;
      to->lane = static_cast<uint8_t>(index >> 1);
      return (size & 1) == 0;
    case 2:
      to->width = size == 1 ? Width::k64 : Width::k32;
      to->lane = static_cast<uint8_t>(size == 1 ? index >> 3 : index >> 2);
      return size == 0 || (size == 1 && !s);
    default:
      to->width = static_cast<Width>(size);
      to->replicates = true;
      return loads && !s;
  }
}

void SingleStructure(Lowering& l, Word w, bool loads, bool writes_back) {
  Single single{};
  if (!ReadSingle(w, loads, &single)) return l.Undefined();
  const int64_t bytes = BytesOf(single.width);
  for (uint32_t i = 0; i < single.elements; i++) {
    const Ref base = l.XOrSp(w.rn());
    const Ref element = l.Temp();
    const Ref v = Register(w, i);
    if (loads) {
      Op& load = l.Emit(kLoad, single.width, element, base);
      load.imm = i * bytes;
      load.extra = ir::MemoryExtra(ir::Extend::kNone, Width::k64);
      if (single.replicates) {
        l.EmitBits(LengthBits(w), kVDup, single.width, v, element);
      } else {
        l.Emit(kVInsert, single.width, v, v, element).lane = single.lane;
      }
    } else {
      l.Emit(kVExtract, single.width, element, v).lane = single.lane;
      Op& store = l.Emit(kStore, single.width, {}, base, {}, element);
      store.imm = i * bytes;
      store.extra = ir::MemoryExtra(ir::Extend::kNone, Width::k64);
    }
  }
  if (writes_back) WriteBack(l, w, single.elements * bytes);
}

}  // namespace

DD_LOWER(ST_multiple, MultipleStructures(l, w, false, false))
DD_LOWER(LD_multiple, MultipleStructures(l, w, true, false))
DD_LOWER(ST_multiple_post, MultipleStructures(l, w, false, true))
DD_LOWER(LD_multiple_post, MultipleStructures(l, w, true, true))
DD_LOWER(ST_single, SingleStructure(l, w, false, false))
DD_LOWER(LD_single, SingleStructure(l, w, true, false))
DD_LOWER(ST_single_post, SingleStructure(l, w, false, true))
DD_LOWER(LD_single_post, SingleStructure(l, w, true, true))

}  // namespace dd::lower::a64
