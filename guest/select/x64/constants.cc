#include "guest/select/x64/environment.h"

namespace dd::select::x64 {
namespace {

// What ah is after lahf, of which ucomis sets ZF, PF and CF; bit 1 is always there.
constexpr uint32_t kZero = 0x40, kParity = 0x04, kCarry = 0x01;

uint32_t FlagsOfCompare(uint32_t ah, bool swapped) {
  if ((ah & kParity) != 0) return ir::kFlagC | ir::kFlagV;
  if ((ah & kZero) != 0) return ir::kFlagZ | ir::kFlagC;
  const bool less = ((ah & kCarry) != 0) != swapped;
  return less ? ir::kFlagN : ir::kFlagC;
}

}  // namespace

void FillConstants(ConstantPool* pool) {
  for (uint32_t i = 0; i < 2; i++) {
    pool->abs_double[i] = 0x7fffffffffffffff;
    pool->abs_single[i] = 0x7fffffff7fffffff;
    pool->sign_double[i] = 0x8000000000000000;
    pool->sign_single[i] = 0x8000000080000000;
    pool->all_ones[i] = ~uint64_t{0};
    pool->least_double[i] = 0x0010000000000000;
    pool->least_single[i] = 0x0080000000800000;
    for (uint32_t ah = 0; ah < 80; ah++) pool->flags_of_compare[i][ah] = FlagsOfCompare(ah, i == 1);
  }
  for (uint32_t i = 0; i < 16; i++) {
    pool->bytes_0f[i] = 0x0f;
    pool->popcount_of_nibble[i] = static_cast<uint8_t>(__builtin_popcount(i));
    pool->reverse_in_2[i] = static_cast<uint8_t>(i ^ 1);
    pool->reverse_in_4[i] = static_cast<uint8_t>(i ^ 3);
    pool->reverse_in_8[i] = static_cast<uint8_t>(i ^ 7);
    const uint32_t reversed = (i & 1) << 3 | (i & 2) << 1 | (i & 4) >> 1 | (i & 8) >> 3;
    pool->reverse_nibble_low[i] = static_cast<uint8_t>(reversed << 4);
    pool->reverse_nibble_high[i] = static_cast<uint8_t>(reversed);
    pool->aes_shift_rows[i] = static_cast<uint8_t>((i + 4 * (i & 3)) & 15);
    pool->aes_inverse_shift_rows[i] = static_cast<uint8_t>((i - 4 * (i & 3)) & 15);
    const bool lower = i < 8;
    pool->even_bytes[i] = static_cast<uint8_t>(lower ? 2 * i : 0x80);
    pool->odd_bytes[i] = static_cast<uint8_t>(lower ? 2 * i + 1 : 0x80);
    const uint32_t half = i / 2;
    pool->even_halves[i] = static_cast<uint8_t>(lower ? 4 * half + (i & 1) : 0x80);
    pool->odd_halves[i] = static_cast<uint8_t>(lower ? 4 * half + 2 + (i & 1) : 0x80);
    pool->ones_byte[i] = 1;
  }
  for (uint32_t i = 0; i < 8; i++) {
    pool->words_00ff[i] = 0x00ff;
    pool->ones_half[i] = 1;
  }
  pool->address_mask = ir::kAddressMask;
  pool->two_63 = 9223372036854775808.0;
  pool->one = 1.0;
  pool->one_single = 1.0F;
  pool->two_32 = 4294967296.0;
  pool->two_32_single = 4294967296.0F;
  pool->two_63_single = 9223372036854775808.0F;
}

}  // namespace dd::select::x64
