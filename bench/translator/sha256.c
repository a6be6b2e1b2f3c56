// SHA-256 of a megabyte, over and over. FIPS 180-4.
#include <math.h>

#include "workload.h"

static uint32_t constants[64];

static uint32_t rotate(uint32_t value, int by) { return value >> by | value << (32 - by); }

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
static void make_constants(void) {
  int count = 0;
  for (int candidate = 2; count < 64; candidate++) {
    int prime = 1;
    for (int i = 2; i * i <= candidate; i++) prime &= candidate % i != 0;
    if (!prime) continue;
    // In integers: the largest r with r^3 <= candidate * 2^96, of which the lower 32 bits are
    // wanted.
    unsigned __int128 low = 0;
    unsigned __int128 high = (unsigned __int128)8 << 32;
    while (low < high) {
      unsigned __int128 middle = (low + high + 1) / 2;
      // middle^3 >> 64 against candidate << 32
      unsigned __int128 square = middle * middle;
      unsigned __int128 cube = (square >> 32) * middle + (((square & 0xffffffffu) * middle) >> 32);
      if (cube >> 32 < (unsigned __int128)candidate << 32)
        low = middle;
      else
        high = middle - 1;
    }
    constants[count++] = (uint32_t)low;
  }
}

static void block(uint32_t state[8], const unsigned char* data) {
  uint32_t w[64];
  for (int i = 0; i < 16; i++) {
    w[i] = (uint32_t)data[4 * i] << 24 | (uint32_t)data[4 * i + 1] << 16 |
           (uint32_t)data[4 * i + 2] << 8 | data[4 * i + 3];
  }
  for (int i = 16; i < 64; i++) {
    uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
    uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
  uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
  for (int i = 0; i < 64; i++) {
    uint32_t t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) +
                  constants[i] + w[i];
    uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d;
  state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

int main(int argc, char** argv) {
  long rounds = size_of_run(argc, argv, 140);
  enum { kBytes = 1 << 20 };
  unsigned char* data = malloc(kBytes);
  for (int i = 0; i < kBytes; i++) data[i] = (unsigned char)(i * 31);
  make_constants();
  uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  for (long round = 0; round < rounds; round++) {
    for (int at = 0; at < kBytes; at += 64) block(state, data + at);
  }
  uint64_t sum = 0;
  for (int i = 0; i < 8; i++) sum = mix(sum, state[i]);
  return report(sum);
}
