// Which row of the instruction table a word belongs to.
#pragma once

#include <cstdint>

#include "guest/isa/a64/rows.h"

namespace dd::isa::a64 {

// The row of an instruction; Id::kUndefined when there is none.
Id Decode(uint32_t word);

}  // namespace dd::isa::a64
