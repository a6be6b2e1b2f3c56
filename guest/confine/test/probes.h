// Hostile host calls: each must trap, and most must fail even without the filter.
#ifndef DD_GUEST_CONFINE_TEST_PROBES_H_
#define DD_GUEST_CONFINE_TEST_PROBES_H_

#include <cstdint>
#include <span>

#include "guest/confine/test/stub.h"

namespace dd::confine::test {

// What holds when everything but the main filter is in force.
enum class SecondLayer : uint32_t {
  kDenied,  // The call fails.
  kNone,    // The call may succeed inside the namespaces: the filter is the only layer.
  kNotRun,  // The call would change the test itself (fork).
};

struct Probe {
  const char* name;
  SecondLayer second;
  // The call to make; for probes of more than one call, `run` makes them instead.
  long number;
  long args[6];
  long (*run)(Caller call);
};

std::span<const Probe> Probes();

// What one executor tries on another, by number; `target` is its pid in the container.
inline constexpr uint32_t kSiblingAttacks = 6;
const char* SiblingAttackName(uint32_t attack);
long AttackSibling(uint32_t attack, long target);

// Makes the hostile call through `call`. Returns what the kernel returned.
long RunProbe(const Probe& probe, Caller call);

}  // namespace dd::confine::test

#endif  // DD_GUEST_CONFINE_TEST_PROBES_H_
