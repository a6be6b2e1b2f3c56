// The guest memory that the guest may execute. The host never does: it is mapped there without
// PROT_EXEC.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dd::translated {

struct CodeRange {
  uint64_t begin;
  uint64_t end;
};

// Sorted, without overlaps or neighbours. Reading needs no lock; changes are made by whoever holds
// the lock of the guest's ranges.
struct Executable {
  static constexpr uint32_t kLimit = 4096;
  // Odd while it changes.
  uint32_t version;
  uint32_t count;
  // There were more ranges than fit: everything counts as executable from then on.
  bool overflowed;
  CodeRange ranges[kLimit];
};

void SetExecutable(Executable* executable, uint64_t begin, uint64_t end, bool allowed);

// The bytes from `pc` on that may be executed, up to `limit`; 0: none.
size_t ExecutableAt(const Executable* executable, uint64_t pc, size_t limit);

}  // namespace dd::translated
