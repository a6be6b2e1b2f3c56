// What test programs have in common: a check that names what is wrong, and random numbers from a
// seed.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace dd::test {

inline void Expect(bool condition, const char* what) {
  if (condition) return;
  fprintf(stderr, "failed: %s\n", what);
  abort();
}

// splitmix64: enough for tests, and the same everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }
  // A number below `limit`.
  uint32_t Below(uint32_t limit) { return static_cast<uint32_t>(Next() % limit); }

 private:
  uint64_t state_;
};

// Argument `index` as a number, or `otherwise` when it is absent.
inline uint64_t Argument(int argc, char** argv, int index, uint64_t otherwise) {
  return index < argc ? strtoull(argv[index], nullptr, 0) : otherwise;
}

}  // namespace dd::test
