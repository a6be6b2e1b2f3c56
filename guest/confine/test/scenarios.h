#ifndef DD_GUEST_CONFINE_TEST_SCENARIOS_H_
#define DD_GUEST_CONFINE_TEST_SCENARIOS_H_

#include "guest/confine/test/stub.h"

namespace dd::confine::test {

// What a confined executor does; ends it by a call through the stub page.
[[noreturn]] void RunScenario(const Order& order, const Stub& stub, Board* board);

}  // namespace dd::confine::test

#endif  // DD_GUEST_CONFINE_TEST_SCENARIOS_H_
