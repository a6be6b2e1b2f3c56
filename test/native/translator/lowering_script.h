// Lowers bytes as if they were guest code, and checks what every reader of blocks relies on.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dd::test {

// The first byte chooses the size of the arena, the others are instructions.
void LowerScript(const uint8_t* data, size_t size);

}  // namespace dd::test
