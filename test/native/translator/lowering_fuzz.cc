// Decoder and lowering on random words, and on random words of the table's rows.
//
//   translator-lowering-fuzz BLOCKS SEED
#include <cstring>

#include "guest/isa/a64/rows.h"
#include "test/native/expect.h"
#include "test/native/translator/lowering_script.h"

int main(int argc, char** argv) {
  using dd::isa::a64::kRowCount;
  using dd::isa::a64::kRows;
  const uint64_t blocks = dd::test::Argument(argc, argv, 1, 10'000);
  dd::test::Random random(dd::test::Argument(argc, argv, 2, 1));
  constexpr uint32_t kWords = 100;
  uint8_t data[1 + 4 * kWords + 3];
  for (uint64_t i = 0; i < blocks; i++) {
    data[0] = static_cast<uint8_t>(random.Next());
    const uint32_t words = random.Below(kWords + 1);
    for (uint32_t j = 0; j < words; j++) {
      uint32_t word = static_cast<uint32_t>(random.Next());
      const dd::isa::a64::Row& row = kRows[random.Below(kRowCount)];
      if (random.Below(16) != 0) word = row.value | (word & ~row.mask);
      memcpy(data + 1 + 4 * j, &word, sizeof word);
    }
    dd::test::LowerScript(data, 1 + 4 * words + random.Below(4));
  }
  printf("%llu blocks\n", static_cast<unsigned long long>(blocks));
  return 0;
}
