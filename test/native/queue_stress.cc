// Many producers, one consumer, real threads: every request comes out once, complete, and its reply
// goes in.
//
//   queue-stress [ENTRIES [PRODUCERS]]
#include <sched.h>

#include <atomic>
#include <cstdio>
#include <thread>
#include <vector>

#include "ring/ring.h"
#include "test/native/expect.h"
#include "test/native/ring_memory.h"

namespace dd::test {
namespace {

// A request of which every field is a function of its slot and its number.
uint64_t Pattern(uint32_t slot, uint64_t number, int field) {
  return (static_cast<uint64_t>(slot) << 48) ^ (number * 0x9e3779b97f4a7c15U) ^
         static_cast<uint64_t>(field);
}

// One producer owns the slots from `first` on and keeps all of them in flight.
void Produce(const ring::Ring& ring, uint32_t first, uint32_t count, uint64_t entries) {
  std::vector<uint64_t> sent(count, 0);
  uint64_t done = 0;
  uint64_t pushed = 0;
  while (done < entries) {
    bool idle = true;
    for (uint32_t i = 0; i < count; i++) {
      ring::Slot* slot = ring.slot(first + i);
      if (sent[i] != 0) {
        if (std::atomic_ref(slot->done).load(std::memory_order_acquire) == 0) continue;
        Expect(slot->result == static_cast<int64_t>(Pattern(first + i, sent[i], 9)),
               "a reply belongs to its request");
        sent[i] = 0;
        done++;
      }
      if (pushed == entries) continue;
      sent[i] = ++pushed;
      slot->nr = static_cast<uint32_t>(pushed);
      for (int k = 0; k < 6; k++) slot->args[k] = Pattern(first + i, pushed, k);
      std::atomic_ref(slot->done).store(0, std::memory_order_relaxed);
      ring::Push(ring, first + i);
      idle = false;
    }
    if (idle) sched_yield();
  }
}

void Consume(const ring::Ring& ring, uint64_t entries) {
  ring::Consumer consumer;
  std::vector<uint32_t> last(ring::kSlotCount, 0);
  for (uint64_t taken = 0; taken < entries;) {
    uint32_t index;
    const auto result = consumer.Next(ring, &index);
    Expect(result != ring::Consumer::Pop::kViolation, "honest producers violate nothing");
    if (result == ring::Consumer::Pop::kEmpty) {
      sched_yield();
      continue;
    }
    ring::Slot* slot = ring.slot(index);
    Expect(slot->nr > last[index], "each request comes out once, in order");
    last[index] = slot->nr;
    for (int k = 0; k < 6; k++) {
      Expect(slot->args[k] == Pattern(index, slot->nr, k), "a request is complete");
    }
    ring::Reply(slot, ring::Verb::kReturn, static_cast<int64_t>(Pattern(index, slot->nr, 9)));
    taken++;
  }
}

}  // namespace
}  // namespace dd::test

int main(int argc, char** argv) {
  using namespace dd;
  const uint64_t entries = test::Argument(argc, argv, 1, 4'000'000);
  const uint32_t producers = static_cast<uint32_t>(test::Argument(argc, argv, 2, 8));
  const test::RingMemory memory;
  const ring::Ring ring = memory.ring();
  std::vector<std::thread> threads;
  const uint32_t share = ring::kSlotCount / producers;
  for (uint32_t i = 0; i < producers; i++) {
    threads.emplace_back([&ring, i, share, each = entries / producers] {
      test::Produce(ring, i * share, share, each);
    });
  }
  test::Consume(ring, entries / producers * producers);
  for (std::thread& thread : threads) thread.join();
  printf("%llu entries\n", static_cast<unsigned long long>(entries / producers * producers));
  return 0;
}
