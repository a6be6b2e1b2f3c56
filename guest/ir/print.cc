#include "guest/ir/print.h"

namespace dd::ir {

namespace {

#define DD_IR_STRING(name, kind) #name,
constexpr const char* kNames[] = {DD_IR_OPS(DD_IR_STRING)};
#undef DD_IR_STRING

constexpr const char* kConds[] = {"eq", "ne", "cs", "cc", "mi", "pl", "vs", "vc",
                                  "hi", "ls", "ge", "lt", "gt", "le", "al", "nv"};

class Text {
 public:
  Text(char* to, size_t room) : to_(to), room_(room) {}

  void Add(char c) {
    if (length_ + 1 < room_) to_[length_++] = c;
  }
  void Add(const char* text) {
    for (; *text != 0; text++) Add(*text);
  }
  void AddNumber(uint64_t value, uint32_t base) {
    char digits[24];
    uint32_t count = 0;
    do {
      digits[count++] = "0123456789abcdef"[value % base];
      value /= base;
    } while (value != 0);
    while (count > 0) Add(digits[--count]);
  }
  void AddImmediate(int64_t value) {
    if (value < 0) Add('-');
    uint64_t size = static_cast<uint64_t>(value);
    if (value < 0) size = 0 - size;
    if (size < 1024) {
      AddNumber(size, 10);
    } else {
      Add("0x");
      AddNumber(size, 16);
    }
  }
  size_t End() {
    if (room_ > 0) to_[length_] = 0;
    return length_;
  }

 private:
  char* to_;
  size_t room_;
  size_t length_ = 0;
};

void AddRef(Text& text, const Op& op, Ref ref) {
  if (ref.immediate()) {
    text.Add('#');
    text.AddImmediate(op.imm);
    return;
  }
  text.Add(ref.guest() ? 'x' : ref.vector() ? 'v' : ref.temp() ? 't' : '-');
  if (!ref.none()) text.AddNumber(ref.index(), 10);
}

void AddField(Text& text, const char* name, uint64_t value) {
  if (value == 0) return;
  text.Add(name);
  text.AddNumber(value, 10);
}

}  // namespace

const char* NameOf(OpCode code) { return kNames[static_cast<uint32_t>(code)]; }

size_t Print(const Op& op, char* to, size_t room) {
  Text text(to, room);
  text.Add(NameOf(op.code));
  text.Add('.');
  text.AddNumber(8u << static_cast<uint32_t>(op.width), 10);
  constexpr struct {
    OpBits bit;
    const char* text;
  } kBits[] = {{kSetsFlags, ".f"}, {kSigned, ".s"},  {kAcquire, ".acq"},
               {kRelease, ".rel"}, {kHalf, ".half"}, {kScalar, ".scalar"}};
  for (const auto& bit : kBits) {
    if (op.bits & bit.bit) text.Add(bit.text);
  }
  if (op.cond != Cond::kAl) {
    text.Add('.');
    text.Add(kConds[static_cast<uint32_t>(op.cond)]);
  }
  const Ref refs[] = {op.dst, op.a, op.b, op.c};
  uint32_t last = 4;
  while (last > 0 && refs[last - 1].none()) last--;
  bool immediate = false;
  for (uint32_t i = 0; i < last; i++) {
    text.Add(i == 0 ? " " : ", ");
    AddRef(text, op, refs[i]);
    immediate |= refs[i].immediate();
  }
  if (!immediate && op.imm != 0) {
    text.Add(" imm ");
    text.AddImmediate(op.imm);
  }
  AddField(text, " lane ", op.lane);
  AddField(text, " extra ", op.extra);
  return text.End();
}

}  // namespace dd::ir
