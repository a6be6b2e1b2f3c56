// The guest memory that the guest may execute. The host never does: it is mapped there without
// PROT_EXEC.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ring/layout.h"

namespace dd::translated {

// Sorted, without overlaps or neighbours. Reading needs no lock; changes are made by whoever holds
// the lock of the guest's ranges. The sentry reads it for /proc.
struct Executable {
  static constexpr uint32_t kLimit = 4096;
  ring::CodeHeader header;
  ring::CodeRange ranges[kLimit];
  // There were more ranges than fit: everything counts as executable from then on.
  bool overflowed;
};

void SetExecutable(Executable* executable, uint64_t begin, uint64_t end, bool allowed);

// The bytes from `pc` on that may be executed, up to `limit`; 0: none.
size_t ExecutableAt(const Executable* executable, uint64_t pc, size_t limit);

}  // namespace dd::translated
