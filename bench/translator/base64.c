// Base64, there and back, by table.
#include "workload.h"

static const char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int main(int argc, char** argv) {
  long rounds = size_of_run(argc, argv, 600);
  enum { kBytes = 3 << 18 };
  unsigned char* data = malloc(kBytes);
  char* text = malloc(kBytes / 3 * 4);
  unsigned char values[256] = {0};
  for (int i = 0; i < 64; i++) values[(unsigned char)kDigits[i]] = (unsigned char)i;
  for (int i = 0; i < kBytes; i++) data[i] = (unsigned char)(i * 29 + (i >> 8));
  uint64_t sum = 0;
  for (long round = 0; round < rounds; round++) {
    char* to = text;
    for (const unsigned char* from = data; from < data + kBytes; from += 3) {
      uint32_t three = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
      *to++ = kDigits[three >> 18];
      *to++ = kDigits[three >> 12 & 63];
      *to++ = kDigits[three >> 6 & 63];
      *to++ = kDigits[three & 63];
    }
    unsigned char* back = data;
    for (const char* from = text; from < to; from += 4) {
      uint32_t three = (uint32_t)values[(unsigned char)from[0]] << 18 |
                       (uint32_t)values[(unsigned char)from[1]] << 12 |
                       (uint32_t)values[(unsigned char)from[2]] << 6 |
                       values[(unsigned char)from[3]];
      *back++ = (unsigned char)(three >> 16);
      *back++ = (unsigned char)(three >> 8);
      *back++ = (unsigned char)three;
    }
    sum = mix(sum, (uint64_t)text[(size_t)round * 977]);
    data[round] ^= (unsigned char)sum;
  }
  return report(sum);
}
