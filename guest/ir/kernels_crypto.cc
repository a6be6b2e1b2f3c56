// The interpreter: AES, SHA-1, SHA-2, as FIPS 197 and FIPS 180-4 define them.
#include <array>
#include <bit>

#include "guest/ir/kernels.h"

namespace dd::ir::kernel {

namespace {

// Multiplication in AES's field.
constexpr uint8_t Times2(uint8_t a) { return static_cast<uint8_t>(a << 1 ^ (a & 0x80 ? 0x1b : 0)); }
constexpr uint8_t Times(uint8_t a, uint8_t b) {
  uint8_t product = 0;
  for (; b != 0; b >>= 1, a = Times2(a)) {
    if (b & 1) product ^= a;
  }
  return product;
}

using Box = std::array<uint8_t, 256>;

// The inverse in the field, and an affine map of it.
constexpr Box MakeSubstitution() {
  Box box{};
  uint8_t p = 1;
  uint8_t q = 1;
  do {
    p = static_cast<uint8_t>(p ^ Times2(p));  // times 3
    q = Times(q, 0xf6);                       // divided by 3
    const uint8_t x = static_cast<uint8_t>(q ^ std::rotl(q, 1) ^ std::rotl(q, 2) ^ std::rotl(q, 3) ^
                                           std::rotl(q, 4));
    box[p] = x ^ 0x63;
  } while (p != 1);
  box[0] = 0x63;
  return box;
}

constexpr Box Invert(const Box& box) {
  Box inverse{};
  for (uint32_t i = 0; i < 256; i++) inverse[box[i]] = static_cast<uint8_t>(i);
  return inverse;
}

constexpr Box kSubstitution = MakeSubstitution();
constexpr Box kInverse = Invert(kSubstitution);
static_assert(kSubstitution[0x53] == 0xed && kInverse[0xed] == 0x53);

// Row i of the state moves by i columns: byte i + 4c of the result is byte `4 * step * i` further
// on.
void SubstituteAndShift(State& state, const Op& op, const Box& box, uint32_t step) {
  const V128 a = ReadV(state, op.a);
  const V128 key = ReadV(state, op.b);
  V128 result;
  for (uint32_t i = 0; i < 16; i++) {
    const uint32_t from = (i + 4 * step * (i % 4)) % 16;
    result.b[i] = box[a.b[from] ^ key.b[from]];
  }
  WriteV(state, op.dst, result);
}

// Each column multiplied by a polynomial.
void MixColumns(State& state, const Op& op, const std::array<uint8_t, 4>& polynomial) {
  const V128 a = ReadV(state, op.a);
  V128 result = ZeroV();
  for (uint32_t i = 0; i < 16; i++) {
    for (uint32_t j = 0; j < 4; j++) {
      result.b[i] ^= Times(a.b[i / 4 * 4 + (i + j) % 4], polynomial[j]);
    }
  }
  WriteV(state, op.dst, result);
}

uint32_t Choose(uint32_t x, uint32_t y, uint32_t z) { return (x & y) | (~x & z); }
uint32_t Majority(uint32_t x, uint32_t y, uint32_t z) { return (x & y) | (x & z) | (y & z); }
uint64_t Choose(uint64_t x, uint64_t y, uint64_t z) { return (x & y) | (~x & z); }
uint64_t Majority(uint64_t x, uint64_t y, uint64_t z) { return (x & y) | (x & z) | (y & z); }

V128 Words(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  V128 v;
  v.s[0] = a;
  v.s[1] = b;
  v.s[2] = c;
  v.s[3] = d;
  return v;
}

V128 Doubles(uint64_t low, uint64_t high) {
  V128 v;
  v.d[0] = low;
  v.d[1] = high;
  return v;
}

// The message schedule's functions.
uint32_t Sigma0(uint32_t x) { return std::rotr(x, 7) ^ std::rotr(x, 18) ^ x >> 3; }
uint32_t Sigma1(uint32_t x) { return std::rotr(x, 17) ^ std::rotr(x, 19) ^ x >> 10; }
uint64_t Sigma0(uint64_t x) { return std::rotr(x, 1) ^ std::rotr(x, 8) ^ x >> 7; }
uint64_t Sigma1(uint64_t x) { return std::rotr(x, 19) ^ std::rotr(x, 61) ^ x >> 6; }

}  // namespace

void AesEncrypt(State& s, const Op& op) { SubstituteAndShift(s, op, kSubstitution, 1); }
void AesDecrypt(State& s, const Op& op) { SubstituteAndShift(s, op, kInverse, 3); }
void AesMixColumns(State& s, const Op& op) { MixColumns(s, op, {2, 3, 1, 1}); }
void AesInverseMixColumns(State& s, const Op& op) { MixColumns(s, op, {14, 11, 13, 9}); }

void Sha1Hash(State& s, const Op& op) {
  V128 x = ReadV(s, op.a);
  uint32_t y = ReadV(s, op.b).s[0];
  const V128 w = ReadV(s, op.c);
  for (uint32_t i = 0; i < 4; i++) {
    const uint32_t mixed = op.lane == 0   ? Choose(x.s[1], x.s[2], x.s[3])
                           : op.lane == 1 ? x.s[1] ^ x.s[2] ^ x.s[3]
                                          : Majority(x.s[1], x.s[2], x.s[3]);
    y += std::rotl(x.s[0], 5) + mixed + w.s[i];
    const uint32_t out = x.s[3];
    x = Words(y, x.s[0], std::rotl(x.s[1], 30), x.s[2]);
    y = out;
  }
  WriteV(s, op.dst, x);
}
void Sha1Rotate(State& s, const Op& op) {
  WriteV(s, op.dst, Words(std::rotl(ReadV(s, op.a).s[0], 30), 0, 0, 0));
}
void Sha1Schedule0(State& s, const Op& op) {
  const V128 a = ReadV(s, op.a);
  const V128 b = ReadV(s, op.b);
  const V128 c = ReadV(s, op.c);
  WriteV(s, op.dst, Doubles(a.d[1] ^ a.d[0] ^ c.d[0], b.d[0] ^ a.d[1] ^ c.d[1]));
}
void Sha1Schedule1(State& s, const Op& op) {
  const V128 a = ReadV(s, op.a);
  const V128 b = ReadV(s, op.b);
  const uint32_t t[] = {a.s[0] ^ b.s[1], a.s[1] ^ b.s[2], a.s[2] ^ b.s[3], a.s[3]};
  WriteV(s, op.dst,
         Words(std::rotl(t[0], 1), std::rotl(t[1], 1), std::rotl(t[2], 1),
               std::rotl(t[3], 1) ^ std::rotl(t[0], 2)));
}

void Sha256Hash(State& s, const Op& op) {
  // H updates a..d in operand a with e..h in b; H2 is given them the other way round.
  const bool second = op.lane != 0;
  V128 x = ReadV(s, second ? op.b : op.a);
  V128 y = ReadV(s, second ? op.a : op.b);
  const V128 w = ReadV(s, op.c);
  for (uint32_t i = 0; i < 4; i++) {
    const uint32_t sum1 = std::rotr(y.s[0], 6) ^ std::rotr(y.s[0], 11) ^ std::rotr(y.s[0], 25);
    const uint32_t t = y.s[3] + sum1 + Choose(y.s[0], y.s[1], y.s[2]) + w.s[i];
    const uint32_t sum0 = std::rotr(x.s[0], 2) ^ std::rotr(x.s[0], 13) ^ std::rotr(x.s[0], 22);
    const uint32_t next = t + sum0 + Majority(x.s[0], x.s[1], x.s[2]);
    y = Words(x.s[3] + t, y.s[0], y.s[1], y.s[2]);
    x = Words(next, x.s[0], x.s[1], x.s[2]);
  }
  WriteV(s, op.dst, second ? y : x);
}
void Sha256Schedule0(State& s, const Op& op) {
  const V128 a = ReadV(s, op.a);
  const uint32_t next = ReadV(s, op.b).s[0];
  WriteV(s, op.dst,
         Words(a.s[0] + Sigma0(a.s[1]), a.s[1] + Sigma0(a.s[2]), a.s[2] + Sigma0(a.s[3]),
               a.s[3] + Sigma0(next)));
}
void Sha256Schedule1(State& s, const Op& op) {
  const V128 a = ReadV(s, op.a);
  const V128 b = ReadV(s, op.b);
  const V128 c = ReadV(s, op.c);
  const uint32_t r0 = a.s[0] + Sigma1(c.s[2]) + b.s[1];
  const uint32_t r1 = a.s[1] + Sigma1(c.s[3]) + b.s[2];
  WriteV(s, op.dst, Words(r0, r1, a.s[2] + Sigma1(r0) + b.s[3], a.s[3] + Sigma1(r1) + c.s[0]));
}

void Sha512Hash(State& s, const Op& op) {
  const V128 w = ReadV(s, op.a);
  const V128 x = ReadV(s, op.b);
  const V128 y = ReadV(s, op.c);
  if (op.lane == 0) {
    const auto sum1 = [](uint64_t v) {
      return std::rotr(v, 14) ^ std::rotr(v, 18) ^ std::rotr(v, 41);
    };
    const uint64_t high = Choose(y.d[1], x.d[0], x.d[1]) + sum1(y.d[1]) + w.d[1];
    const uint64_t next = high + y.d[0];
    WriteV(s, op.dst, Doubles(Choose(next, y.d[1], x.d[0]) + sum1(next) + w.d[0], high));
    return;
  }
  const auto sum0 = [](uint64_t v) {
    return std::rotr(v, 28) ^ std::rotr(v, 34) ^ std::rotr(v, 39);
  };
  const uint64_t high = Majority(x.d[0], y.d[1], y.d[0]) + sum0(y.d[0]) + w.d[1];
  WriteV(s, op.dst, Doubles(Majority(high, y.d[0], y.d[1]) + sum0(high) + w.d[0], high));
}
void Sha512Schedule0(State& s, const Op& op) {
  const V128 a = ReadV(s, op.a);
  const V128 b = ReadV(s, op.b);
  WriteV(s, op.dst, Doubles(a.d[0] + Sigma0(a.d[1]), a.d[1] + Sigma0(b.d[0])));
}
void Sha512Schedule1(State& s, const Op& op) {
  const V128 a = ReadV(s, op.a);
  const V128 b = ReadV(s, op.b);
  const V128 c = ReadV(s, op.c);
  WriteV(s, op.dst, Doubles(a.d[0] + Sigma1(b.d[0]) + c.d[0], a.d[1] + Sigma1(b.d[1]) + c.d[1]));
}

}  // namespace dd::ir::kernel
