// The queue against a model: random interleavings of producers and the consumer, one step at a
// time, through several wraps of the entries and the wrap of the ticket counter.
//
//   queue-model [STEPS [SEED]]
#include <cstdio>
#include <deque>
#include <vector>

#include "ring/ring.h"
#include "test/native/expect.h"
#include "test/native/ring_memory.h"

namespace dd::test {
namespace {

using ring::Consumer;
using ring::kQueueCapacity;
using ring::kSlotCount;

// An entry that a producer has reserved; what stands in it once it has also been written.
struct Reserved {
  uint32_t ticket;
  uint32_t slot;
  bool written;
};

void WriteEntry(const ring::Ring& ring, uint32_t ticket, uint32_t slot) {
  ring.entry(ticket)->value = (static_cast<uint64_t>(ticket + 1) << 32) | slot;
}

// Honest producers, each between any two of its steps: what comes out is what went in, in the order
// of reservation, and never before it is written.
uint64_t Interleave(uint64_t steps, uint64_t seed) {
  Random random(seed);
  const RingMemory memory;
  const ring::Ring ring = memory.ring();
  Consumer consumer;
  std::deque<Reserved> model;
  std::vector<uint32_t> idle;
  for (uint32_t slot = 0; slot < kSlotCount; slot++) idle.push_back(slot);
  // How full the queue is wanted to be: changes, so that it is seen empty, full and in between.
  uint32_t fill = 8;
  uint64_t popped = 0;
  for (uint64_t step = 0; step < steps; step++) {
    if (random.Below(4096) == 0) fill = 1 + random.Below(kSlotCount);
    const uint32_t kind = random.Below(8);
    if (kind < 3 && !idle.empty() && model.size() < fill) {
      const uint32_t at = random.Below(static_cast<uint32_t>(idle.size()));
      const uint32_t slot = idle[at];
      idle[at] = idle.back();
      idle.pop_back();
      if (kind == 0) {
        // A producer that is interrupted between its two steps.
        model.push_back({ring.header()->tail++, slot, false});
      } else {
        ring::Push(ring, slot);
        model.push_back({ring.header()->tail - 1, slot, true});
      }
    } else if ((kind == 3 || kind == 4) && !model.empty()) {
      Reserved& late = model[kind == 3 ? 0 : random.Below(static_cast<uint32_t>(model.size()))];
      if (!late.written) WriteEntry(ring, late.ticket, late.slot);
      late.written = true;
    } else {
      uint32_t slot = ~0U;
      const Consumer::Pop result = consumer.Next(ring, &slot);
      if (model.empty() || !model.front().written) {
        Expect(result == Consumer::Pop::kEmpty, "nothing comes out before it is written");
        continue;
      }
      Expect(result == Consumer::Pop::kSlot, "what is written comes out");
      Expect(slot == model.front().slot, "slots come out in the order of their tickets");
      idle.push_back(slot);
      model.pop_front();
      popped++;
    }
  }
  Expect(steps < 100000 || popped > 8 * kQueueCapacity, "the counter has wrapped");
  return popped;
}

// Dishonest entries at every kind of place: the consumer takes a slot only from an entry with its
// very ticket and a slot that exists, says `empty` only of what an honest queue may hold there, and
// does not move otherwise.
void Lie(uint64_t rounds, uint64_t seed) {
  Random random(seed);
  for (uint64_t round = 0; round < rounds; round++) {
    const RingMemory memory;
    const ring::Ring ring = memory.ring();
    Consumer consumer;
    uint32_t head = ring::kFirstTicket;
    for (uint32_t honest = random.Below(6 * kQueueCapacity); honest > 0; honest--) {
      ring::Push(ring, random.Below(kSlotCount));
      uint32_t slot;
      Expect(consumer.Next(ring, &slot) == Consumer::Pop::kSlot, "an honest entry");
      head++;
    }
    const uint32_t tickets[] = {head + 1,
                                head,
                                head + 2,
                                head + 1 - kQueueCapacity,
                                head + 1 + kQueueCapacity,
                                static_cast<uint32_t>(random.Next()),
                                0,
                                ~0U};
    const uint32_t slots[] = {0, kSlotCount - 1, kSlotCount, ~0U,
                              static_cast<uint32_t>(random.Next())};
    for (const uint32_t ticket : tickets) {
      for (const uint32_t wanted : slots) {
        const uint64_t value = (static_cast<uint64_t>(ticket) << 32) | wanted;
        ring.entry(head)->value = value;
        Consumer copy = consumer;
        uint32_t slot = ~0U;
        const Consumer::Pop result = copy.Next(ring, &slot);
        if (ticket == head + 1 && wanted < kSlotCount) {
          Expect(result == Consumer::Pop::kSlot && slot == wanted, "an honest entry comes out");
          continue;
        }
        const bool older = value == 0 || ticket == head + 1 - kQueueCapacity;
        const bool empty = older && ticket != head + 1;
        Expect(result == (empty ? Consumer::Pop::kEmpty : Consumer::Pop::kViolation),
               "a dishonest entry is a violation");
        Expect(slot == ~0U, "a dishonest entry gives no slot");
        ring.entry(head)->value = (static_cast<uint64_t>(head + 1) << 32) | 7;
        Expect(copy.Next(ring, &slot) == Consumer::Pop::kSlot && slot == 7,
               "the consumer stays where it was");
      }
    }
  }
}

}  // namespace
}  // namespace dd::test

int main(int argc, char** argv) {
  const uint64_t steps = dd::test::Argument(argc, argv, 1, 2'000'000);
  const uint64_t seed = dd::test::Argument(argc, argv, 2, 1);
  const uint64_t popped = dd::test::Interleave(steps, seed);
  dd::test::Lie(200, seed);
  printf("%llu entries\n", static_cast<unsigned long long>(popped));
  return 0;
}
