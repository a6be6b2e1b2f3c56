// A hub under an executor that does whatever the bytes of an input say, beside an honest one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ring/hub.h"

namespace dd::test {

// What holds for the submissions of every wait, whatever executors do.
void CheckBatch(Hub* hub, uint32_t count);

// Carries out the input. Aborts when the hub does what it must not.
void RunScript(const uint8_t* data, size_t size);

}  // namespace dd::test
