// A layer of confinement, tried live in a process of its own.
#ifndef DD_GUEST_CONFINE_PROBE_LAYER_H_
#define DD_GUEST_CONFINE_PROBE_LAYER_H_

#include <cerrno>
#include <cstddef>
#include <span>

namespace dd::confine::probe {

inline constexpr size_t kDetailMax = 120;

// What a trial found: 0, or the errno of what failed. `detail` names a version or the failing part.
struct Outcome {
  int error;
  char detail[kDetailMax];
};

Outcome Works(const char* detail = "");
// The call before failed: with its errno.
Outcome Fails(const char* detail);
Outcome FailsWith(int error, const char* detail);

struct Layer {
  const char* name;
  // Runs in a child process, which it may confine or crash.
  Outcome (*attempt)();
};

std::span<const Layer> NamespaceLayers();
std::span<const Layer> FilterLayers();
std::span<const Layer> SystemLayers();

}  // namespace dd::confine::probe

#endif  // DD_GUEST_CONFINE_PROBE_LAYER_H_
