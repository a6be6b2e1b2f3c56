// A ring in private memory, its header as the sentry writes it as far as the queue needs it.
#pragma once

#include <sys/mman.h>

#include "ring/ring.h"
#include "test/native/expect.h"

namespace dd::test {

class RingMemory {
 public:
  RingMemory()
      : base_(mmap(nullptr, ring::kRingBytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
    Expect(base_ != MAP_FAILED, "memory for a ring");
    ring().header()->tail = ring::kFirstTicket;
  }
  ~RingMemory() { munmap(base_, ring::kRingBytes); }
  RingMemory(const RingMemory&) = delete;
  RingMemory& operator=(const RingMemory&) = delete;

  ring::Ring ring() const { return ring::Ring(base_); }

 private:
  void* base_;
};

}  // namespace dd::test
