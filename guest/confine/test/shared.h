// What the three roles of the test program share: supervisor (in place of the sentry), launcher,
// executor.
#ifndef DD_GUEST_CONFINE_TEST_SHARED_H_
#define DD_GUEST_CONFINE_TEST_SHARED_H_

#include <atomic>
#include <cstdint>

namespace dd::confine::test {

// Descriptor numbers at which the supervisor hands things over; all below the window.
inline constexpr int kControl = 3;
inline constexpr int kDescription = 4;
inline constexpr int kBoard = 5;
inline constexpr int kUserNamespace = 6;
inline constexpr int kMountNamespace = 7;

// What an executor is told to do once it is confined.
enum class Scenario : uint32_t {
  kProbeOutside,    // A hostile call from ordinary code.
  kProbeInside,     // The same through the stub page: the address test must not be what stops it.
  kProbeNoFilter,   // The same with everything but the main filter: the second layer.
  kProbeWrongArch,  // int 0x80 through the stub page.
  kAllowedCalls,    // Every call of the allow-list must work.
  kDonation,        // Announce, receive a descriptor, map it.
  kHold,            // Announce, then wait for `go`.
  kForkLimit,       // Fork until the limit says no.
  kWrongDonation,   // Map the donated descriptor shared and writable.
  kSibling,         // Without the main filter, attack another executor of the container.
};

// Exit status of an executor that could not be confined; the board says which step failed.
inline constexpr int kNotConfined = 101;

// The launcher's orders; it answers each with one int32_t.
struct Order {
  enum class Kind : uint32_t { kStart, kReap } kind;
  Scenario scenario;
  uint32_t probe;
  // The pid in the container of the executor to attack.
  int32_t target;
};

inline constexpr uint32_t kValuesMax = 32;

// One page of memory that outlives the roles' confinement, as a ring does.
struct Board {
  std::atomic<uint32_t> ready;
  std::atomic<uint32_t> go;
  std::atomic<uint32_t> traps;
  std::atomic<int32_t> trapped_call;
  std::atomic<int64_t> result;
  std::atomic<uint64_t> secret;
  std::atomic<uint64_t> secret_address;
  std::atomic<int64_t> values[kValuesMax];
};

}  // namespace dd::confine::test

#endif  // DD_GUEST_CONFINE_TEST_SHARED_H_
