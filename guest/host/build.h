// What tells this program from every other one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dd::host {

constexpr size_t kBuildBytes = 20;

// The linker's digest of the program (its note NT_GNU_BUILD_ID); false: it has none.
bool BuildOf(uint8_t (&build)[kBuildBytes]);

}  // namespace dd::host
