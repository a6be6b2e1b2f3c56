// What one differential test is: a state, a few instructions, and what came of them. The same bytes
// go to the oracle (an arm64 program under qemu-aarch64) over a pipe: C, fixed layout, little
// endian.
#ifndef DD_TEST_NATIVE_TRANSLATOR_VECTOR_H_
#define DD_TEST_NATIVE_TRANSLATOR_VECTOR_H_

#include <stdint.h>

// Where the instructions and the memory they may touch are, in the oracle as in the test.
#define DD_CODE_ADDRESS 0x30000000ull
#define DD_CODE_BYTES 4096
#define DD_CODE_START 2048
#define DD_MEMORY_ADDRESS 0x20000000ull
#define DD_MEMORY_BYTES 4096
// The part of the memory that is set and compared.
#define DD_WINDOW_START 2048
#define DD_WINDOW_BYTES 256
#define DD_WORDS_MAX 8

struct dd_vector {
  uint64_t g[32];
  uint64_t v[32][2];
  uint32_t nzcv;  // bits 31..28
  uint32_t fpcr;
  uint32_t fpsr;
  uint32_t count;
  uint32_t words[DD_WORDS_MAX];
  uint8_t window[DD_WINDOW_BYTES];
};

struct dd_outcome {
  uint64_t g[32];
  uint64_t v[32][2];
  uint64_t pc;
  uint32_t nzcv;
  uint32_t fpcr;
  uint32_t fpsr;
  uint32_t signal;  // how it ended: SIGTRAP after the last instruction
  uint8_t window[DD_WINDOW_BYTES];
};

#endif  // DD_TEST_NATIVE_TRANSLATOR_VECTOR_H_
