// Bytes of instructions: prefixes, REX, VEX, ModRM, displacements, immediates, branches.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guest/emit/x64/operand.h"

namespace dd::emit::x64 {

// Opcode maps and mandatory prefixes, as VEX encodes them.
enum class Map : uint8_t { k0f = 1, k0f38 = 2, k0f3a = 3 };
enum class Prefix : uint8_t { kNone, k66, kF3, kF2 };

// A place in code that says where something outside of it is.
struct Reference {
  uint32_t offset;  // in the code
  bool constant;    // 8 bytes of a constant that may be an address; else a 4-byte displacement
  uint64_t target;
};

// Writes code for `base` (where it will run) into a buffer. Room is looked at by KeepRoom only,
// which is called at least once for every kStride bytes: when the buffer is full it takes back what
// was written last, and overflow() says so.
class Encoder {
 public:
  static constexpr size_t kStride = 2048;

  void Start(uint8_t* buffer, size_t bytes, uint64_t base) {
    begin_ = at_ = buffer;
    end_ = buffer + bytes - kStride;
    base_ = base;
    overflow_ = false;
    reference_limit_ = reference_count_ = 0;
  }

  // From here on references are noted, for whoever is going to move the code. Too many: overflow().
  void NoteReferences(Reference* room, uint32_t limit) {
    references_ = room;
    reference_limit_ = limit;
  }
  uint32_t reference_count() const { return reference_count_; }

  uint32_t offset() const { return static_cast<uint32_t>(at_ - begin_); }
  uint64_t here() const { return base_ + offset(); }
  uint64_t base() const { return base_; }
  const uint8_t* buffer() const { return begin_; }
  bool overflow() const { return overflow_; }
  void KeepRoom() {
    if (at_ <= end_) return;
    at_ = end_;
    overflow_ = true;
  }

  void Bind(Label* label) {
    int32_t use = label->bound ? -1 : label->at;
    const int32_t place = static_cast<int32_t>(offset());
    while (use >= 0) {
      const int32_t next = Read32(use);
      Patch32(use, place - (use + 4));
      use = next;
    }
    label->at = place;
    label->bound = true;
  }
  void Jmp(Label* label) {
    Byte(0xe9);
    Use(label);
  }
  void Jcc(Cc cc, Label* label) {
    Byte(0x0f);
    Byte(0x80 | static_cast<uint8_t>(cc));
    Use(label);
  }
  // rip-relative address of a label.
  void LeaLabel(Gpr dst, Label* label) {
    Byte(0x48 | (Number(dst) >= 8 ? 4 : 0));
    Byte(0x8d);
    Byte(static_cast<uint8_t>((Number(dst) & 7) << 3 | 5));
    Use(label);
  }
  // To an address within 2 GiB.
  void JmpNear(uint64_t target) {
    Byte(0xe9);
    Relative(target);
  }
  void JccNear(Cc cc, uint64_t target) {
    Byte(0x0f);
    Byte(0x80 | static_cast<uint8_t>(cc));
    Relative(target);
  }
  void CallNear(uint64_t target) {
    Byte(0xe8);
    Relative(target);
  }
  // Aligns by bytes that are never executed.
  void AlignData(uint32_t alignment) {
    while ((here() & (alignment - 1)) != 0) Byte(0xcc);
  }
  void Data64(uint64_t value) {
    Put32(static_cast<uint32_t>(value));
    Put32(static_cast<uint32_t>(value >> 32));
  }
  void DataBytes(const void* from, size_t bytes) {
    const auto* p = static_cast<const uint8_t*>(from);
    for (size_t i = 0; i < bytes; i++) Byte(p[i]);
  }

 protected:
  void Byte(uint32_t byte) { *at_++ = static_cast<uint8_t>(byte); }
  void Put16(uint32_t value) {
    Byte(value);
    Byte(value >> 8);
  }
  void Put32(uint32_t value) { at_ = Put32(at_, value); }
  void Relative(uint64_t target) {
    Note(at_, false, target);
    Put32(static_cast<uint32_t>(target - (here() + 4)));
  }
  // What is written at `at` next says where `target` is.
  void Note(const uint8_t* at, bool constant, uint64_t target) {
    if (reference_limit_ == 0) return;
    if (reference_count_ == reference_limit_) {
      overflow_ = true;
      return;
    }
    references_[reference_count_++] = {static_cast<uint32_t>(at - begin_), constant, target};
  }

  // The legacy encoding with a register or memory operand. `immediate_bytes` follow the operand: a
  // rip-relative displacement counts from after them. `byte_register`: REX is needed for spl..dil.
  template <typename Operand>
  void Legacy(Size size, uint32_t opcode, uint8_t reg, const Operand& rm, uint8_t immediate_bytes,
              uint8_t mandatory = 0, bool byte_registers = false) {
    uint8_t* p = at_;  // a local variable: what is written may not be this
    const auto byte = [&p](uint32_t value) { *p++ = static_cast<uint8_t>(value); };
    if (size == Size::k16) byte(0x66);
    if (mandatory != 0) byte(mandatory);
    uint8_t rex =
        static_cast<uint8_t>((size == Size::k64 ? 8 : 0) | (reg >= 8 ? 4 : 0) | RexOf(rm));
    if (rex != 0 || byte_registers) byte(0x40 | rex);
    if (opcode > 0xffff) byte(opcode >> 16);
    if (opcode > 0xff) byte(opcode >> 8);
    byte(opcode);
    at_ = ModRm(p, reg, rm, immediate_bytes);
  }

  template <typename Operand>
  void Vex(Map map, Prefix prefix, bool w, bool l, uint8_t opcode, uint8_t reg, uint8_t vvvv,
           const Operand& rm, uint8_t immediate_bytes = 0) {
    const uint8_t rex = RexOf(rm);
    const uint8_t r = reg >= 8 ? 0 : 0x80;
    const uint8_t tail =
        static_cast<uint8_t>((~vvvv & 15) << 3 | (l ? 4 : 0) | static_cast<uint8_t>(prefix));
    uint8_t* p = at_;
    const auto byte = [&p](uint32_t value) { *p++ = static_cast<uint8_t>(value); };
    if (map == Map::k0f && !w && (rex & 3) == 0) {
      byte(0xc5);
      byte(r | tail);
    } else {
      byte(0xc4);
      byte(r | ((rex & 2) != 0 ? 0 : 0x40) | ((rex & 1) != 0 ? 0 : 0x20) |
           static_cast<uint8_t>(map));
      byte((w ? 0x80 : 0) | tail);
    }
    byte(opcode);
    at_ = ModRm(p, reg, rm, immediate_bytes);
  }

 private:
  static uint8_t RexOf(Gpr r) { return Number(r) >= 8 ? 1 : 0; }
  static uint8_t RexOf(Xmm r) { return Number(r) >= 8 ? 1 : 0; }
  static uint8_t RexOf(const Mem& m) {
    if (m.absolute != 0) return 0;
    return static_cast<uint8_t>((Number(m.base) >= 8 ? 1 : 0) | (Number(m.index) >= 8 ? 2 : 0));
  }

  static uint8_t* Put32(uint8_t* p, uint32_t value) {
    __builtin_memcpy(p, &value, sizeof value);
    return p + sizeof value;
  }

  // These return where the instruction goes on.
  static uint8_t* ModRm(uint8_t* p, uint8_t reg, uint8_t rm) {
    *p = static_cast<uint8_t>(0xc0u | (reg & 7u) << 3 | (rm & 7u));
    return p + 1;
  }
  uint8_t* ModRm(uint8_t* p, uint8_t reg, Gpr rm, uint8_t) { return ModRm(p, reg, Number(rm)); }
  uint8_t* ModRm(uint8_t* p, uint8_t reg, Xmm rm, uint8_t) { return ModRm(p, reg, Number(rm)); }
  uint8_t* ModRm(uint8_t* p, uint8_t reg, const Mem& m, uint8_t immediate_bytes) {
    const uint32_t field = (reg & 7u) << 3;
    if (m.absolute != 0) {
      *p++ = static_cast<uint8_t>(field | 5);
      Note(p, false, m.absolute);
      const uint64_t next = base_ + static_cast<uint64_t>(p - begin_) + 4 + immediate_bytes;
      return Put32(p, static_cast<uint32_t>(m.absolute - next));
    }
    const uint32_t base = Number(m.base) & 7u;
    const bool sib = m.index != Gpr::kRsp || base == 4;
    uint32_t mod = 0x80;
    if (m.disp == 0 && base != 5) {
      mod = 0;
    } else if (m.disp >= -128 && m.disp <= 127) {
      mod = 0x40;
    }
    *p++ = static_cast<uint8_t>(mod | field | (sib ? 4 : base));
    if (sib) {
      *p++ = static_cast<uint8_t>(uint32_t{m.shift} << 6 | (Number(m.index) & 7u) << 3 | base);
    }
    if (mod == 0x40) *p++ = static_cast<uint8_t>(m.disp);
    return mod == 0x80 ? Put32(p, static_cast<uint32_t>(m.disp)) : p;
  }

  void Use(Label* label) {
    if (label->bound) {
      Put32(static_cast<uint32_t>(label->at - static_cast<int32_t>(offset() + 4)));
      return;
    }
    const int32_t use = static_cast<int32_t>(offset());
    Put32(static_cast<uint32_t>(label->at));
    label->at = use;
  }
  int32_t Read32(int32_t at) const {
    int32_t value;
    __builtin_memcpy(&value, begin_ + at, sizeof value);
    return value;
  }
  void Patch32(int32_t at, int32_t value) { __builtin_memcpy(begin_ + at, &value, sizeof value); }

  uint8_t* begin_ = nullptr;
  uint8_t* at_ = nullptr;
  uint8_t* end_ = nullptr;
  uint64_t base_ = 0;
  bool overflow_ = false;
  Reference* references_ = nullptr;
  uint32_t reference_limit_ = 0;
  uint32_t reference_count_ = 0;
};

}  // namespace dd::emit::x64
