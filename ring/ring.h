// The submission ring: many guest threads push slot numbers, one sentry pops them. Lock-free and
// freestanding; whoever calls does the futex calls, because the two sides make host calls
// differently.
#pragma once

#include <atomic>
#include <cstdint>

#include "ring/layout.h"
#include "ring/protocol.h"

namespace dd::ring {

static_assert(sizeof(Slot) == kSlotSize);
static_assert((kQueueCapacity & (kQueueCapacity - 1)) == 0 && kQueueCapacity >= kSlotCount);
static_assert(sizeof(Doorbell) <= kPageSize);
static_assert(sizeof(Doorbell::pending) * 8 == kRingLimit);

// Where the parts of one mapping are. Holds no state.
class Ring {
 public:
  explicit Ring(void* base) : base_(static_cast<uint8_t*>(base)) {}

  RingHeader* header() const { return reinterpret_cast<RingHeader*>(base_); }
  QueueEntry* entry(uint32_t ticket) const {
    return reinterpret_cast<QueueEntry*>(base_ + kQueueOffset) + (ticket & (kQueueCapacity - 1));
  }
  Slot* slot(uint32_t index) const { return reinterpret_cast<Slot*>(base_ + kSlotsOffset) + index; }
  uint8_t* staging(uint32_t index) const {
    return base_ + kStagingOffset + static_cast<uint64_t>(index) * kStagingSize;
  }
  uint8_t* base() const { return base_; }

 private:
  uint8_t* base_;
};

// Executor: puts `slot` into the queue. The slot's request is published with it.
inline void Push(const Ring& ring, uint32_t slot) {
  const uint32_t ticket =
      std::atomic_ref(ring.header()->tail).fetch_add(1, std::memory_order_relaxed);
  const uint64_t value = (static_cast<uint64_t>(ticket + 1) << 32) | slot;
  std::atomic_ref(ring.entry(ticket)->value).store(value, std::memory_order_release);
}

// Executor: says that ring `index` has work. Returns true when the sentry sleeps: then the caller
// wakes one waiter of the futex `doorbell->sequence`.
inline bool Announce(Doorbell* doorbell, uint32_t index) {
  // Sequentially consistent on both sides: either the sentry sees the bit before it sleeps, or we
  // see that it sleeps.
  std::atomic_ref(doorbell->pending[index / 64]).fetch_or(uint64_t{1} << (index % 64));
  if (std::atomic_ref(doorbell->sleeping).load() == 0) return false;
  std::atomic_ref(doorbell->sequence).fetch_add(1);
  return true;
}

// Sentry: the reading end. Its counter is private; nothing in shared memory is believed.
class Consumer {
 public:
  enum class Pop { kEmpty, kSlot, kViolation };

  // Takes the next slot number into `*slot`. kViolation: the entry is one no honest executor
  // writes.
  Pop Next(const Ring& ring, uint32_t* slot) {
    const uint64_t value =
        std::atomic_ref(ring.entry(head_)->value).load(std::memory_order_acquire);
    const uint32_t ticket = static_cast<uint32_t>(value >> 32);
    if (ticket != head_ + 1) {
      const bool untouched = value == 0 || ticket == head_ + 1 - kQueueCapacity;
      return untouched ? Pop::kEmpty : Pop::kViolation;
    }
    const uint32_t index = static_cast<uint32_t>(value);
    if (index >= kSlotCount) return Pop::kViolation;
    head_++;
    *slot = index;
    return Pop::kSlot;
  }

 private:
  uint32_t head_ = kFirstTicket;
};

// Sentry: publishes the reply in `slot`. Returns true when the thread sleeps: then the caller wakes
// the futex `slot->done`.
inline bool Reply(Slot* slot, Verb verb, int64_t result) {
  slot->verb = static_cast<uint32_t>(verb);
  slot->result = result;
  std::atomic_ref(slot->done).store(1);
  return std::atomic_ref(slot->waiting).load() != 0;
}

}  // namespace dd::ring
