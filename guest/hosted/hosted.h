// Trusted mode in one process: a guest on a thread of the sentry's own. See docs/trusted.md.
#pragma once

#include <span>

#include "ring/layout.h"

namespace dd::hosted {

// What a guest starts with. The ring's first slot holds the plan, as for any executor.
struct Options {
  uint8_t* ring_base;  // the sentry's own mappings, shared
  ring::Doorbell* doorbell;
  uint32_t ring_index;
  std::span<const int> files;  // what the plan's file numbers refer to; duplicated
  int life_fd;                 // the reading end of a pipe whose writing end only the sentry has
  uint32_t step_count;
};

// Starts the guest. Returns its first thread's host id, or -errno. From here on SIGSYS, the kick
// and the synchronous signals of the process are the runtime's; those of other threads go to
// whoever had them.
long Start(const Options& options);

}  // namespace dd::hosted
