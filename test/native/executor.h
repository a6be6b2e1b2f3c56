// An honest executor's end of a ring, as guest/native makes it, with libc.
#pragma once

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

#include "ring/ring.h"
#include "test/native/expect.h"

namespace dd::test {

class ExecutorEnd {
 public:
  // Maps both; the descriptor of the ring is closed.
  ExecutorEnd(int ring_fd, int doorbell_fd)
      : base_(Map(ring_fd, ring::kRingBytes)),
        doorbell_(static_cast<ring::Doorbell*>(Map(doorbell_fd, ring::kPageSize))) {
    close(ring_fd);
  }
  ~ExecutorEnd() {
    munmap(base_, ring::kRingBytes);
    munmap(doorbell_, ring::kPageSize);
  }
  ExecutorEnd(const ExecutorEnd&) = delete;
  ExecutorEnd& operator=(const ExecutorEnd&) = delete;

  ring::Ring ring() const { return ring::Ring(base_); }
  ring::Doorbell* doorbell() const { return doorbell_; }

  // Submits what lies in `slot`; the sentry is woken if it sleeps.
  void Submit(uint32_t slot) const {
    std::atomic_ref(ring().slot(slot)->done).store(0, std::memory_order_relaxed);
    ring::Push(ring(), slot);
    if (ring::Announce(doorbell_, ring().header()->ring_index))
      Futex(&doorbell_->sequence, FUTEX_WAKE, 1);
  }

  // Sleeps until the reply in `slot` is complete.
  void Await(uint32_t slot) const {
    ring::Slot* shared = ring().slot(slot);
    if (std::atomic_ref(shared->done).load() != 0) return;
    std::atomic_ref(shared->waiting).store(1);
    while (std::atomic_ref(shared->done).load() == 0) Futex(&shared->done, FUTEX_WAIT, 0);
    std::atomic_ref(shared->waiting).store(0, std::memory_order_relaxed);
  }

 private:
  static void* Map(int fd, size_t bytes) {
    void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    Expect(base != MAP_FAILED, "the executor's mapping");
    return base;
  }
  static void Futex(uint32_t* word, int operation, uint32_t value) {
    syscall(SYS_futex, word, operation, value, nullptr, nullptr, 0);
  }

  void* base_;
  ring::Doorbell* doorbell_;
};

}  // namespace dd::test
