// libFuzzer's entry: see hub_script.h.
#include "test/native/hub_script.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dd::test::RunScript(data, size);
  return 0;
}
