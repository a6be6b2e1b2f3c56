// libFuzzer's entry: see lowering_script.h.
#include "test/native/translator/lowering_script.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dd::test::LowerScript(data, size);
  return 0;
}
