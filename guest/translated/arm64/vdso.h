// The vDSO of arm64 programs: see vdso(7). An ELF image in this program's own read-only pages, so
// that every process it forks has it at the same place.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dd::translated::arm64 {

struct Vdso {
  uint64_t begin, end;  // whole pages
  uint64_t sigreturn;   // what a handler returns to when its sigaction(2) names nothing
};
Vdso VdsoOf();

}  // namespace dd::translated::arm64
