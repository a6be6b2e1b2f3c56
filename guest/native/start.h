// The way into the runtime: an ordinary process, already confined, becomes a guest's executor.
#pragma once

#include "guest/native/thread.h"

namespace dd::native {

// What the launcher hands over. Descriptors are the executor's own.
struct Start {
  AddressSpace* space;  // zeroed; environment filled in
  int ring_fd;
  int doorbell_fd;
  const int* file_fds;  // where the plan's file numbers point
  uint32_t file_count;
  uint32_t step_count;
};

// Maps the ring, makes the first thread's block and installs the handlers. Returns the block, or
// null with `*error` set. Host calls of every kind are still allowed.
Thread* Prepare(const Start& start, long* error);

// Carries out the plan that lies in the first slot's staging area and enters guest code. Only calls
// the executor's filter allows.
[[noreturn]] void Run(Thread* thread, const Start& start);

// Switches the calling thread to the block's own stack and goes on with Run.
[[noreturn]] void RunOnOwnStack(Thread* thread, const Start* start);

}  // namespace dd::native
