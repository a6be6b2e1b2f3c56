// A hub under hostile executors: first random scripts, one after the other, then another thread
// that rewrites a whole ring and the doorbell while the hub works.
//
//   hub-fuzz [SCRIPTS [ATTACKS [SEED]]]
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "ring/hub.h"
#include "test/native/executor.h"
#include "test/native/expect.h"
#include "test/native/hub_script.h"

namespace dd::test {
namespace {

constexpr unsigned kAlarmSeconds = 3000;
constexpr uint32_t kScriptBytes = 600;

void RunScripts(uint64_t scripts, uint64_t seed) {
  Random random(seed);
  for (uint64_t i = 0; i < scripts; i++) {
    std::vector<uint8_t> bytes(1 + random.Below(kScriptBytes));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.Next());
    RunScript(bytes.data(), bytes.size());
  }
}

// Words that are likely to be believed, and words that are not.
uint32_t Word(Random* random, uint32_t ticket) {
  switch (random->Below(6)) {
    case 0:
      return random->Below(ring::kSlotCount + 8);
    case 1:
      return ticket + random->Below(4) - 1;
    case 2:
      return ring::kStagingSize - 2 + random->Below(4);
    case 3:
      return ~0U;
    case 4:
      return 0;
    default:
      return static_cast<uint32_t>(random->Next());
  }
}

// One thread that writes over what an executor may write to, for as long as it is let.
class Attacker {
 public:
  Attacker(uint32_t index, int ring_fd, int doorbell_fd, uint64_t seed)
      : index_(index), end_(ring_fd, doorbell_fd), thread_([this, seed] { Attack(seed); }) {}
  ~Attacker() {
    stop_.store(true);
    thread_.join();
  }

 private:
  static void Store(uint8_t* at, uint32_t value) {
    std::atomic_ref(*reinterpret_cast<uint32_t*>(at)).store(value, std::memory_order_relaxed);
  }

  void Attack(uint64_t seed) {
    Random random(seed);
    const ring::Ring ring = end_.ring();
    auto* bell = reinterpret_cast<uint8_t*>(end_.doorbell());
    uint32_t ticket = ring::kFirstTicket;
    while (!stop_.load(std::memory_order_relaxed)) {
      // Mostly well-formed entries, or the ring would be given up at its first.
      for (uint32_t honest = random.Below(64); honest > 0; honest--) {
        const uint32_t slot = random.Below(ring::kSlotCount);
        ring.slot(slot)->staged_length = Word(&random, ticket) % (ring::kStagingSize + 1);
        ring.header()->tail = ticket++;
        ring::Push(ring, slot);
        ring::Announce(end_.doorbell(), index_);
        ring.slot(slot)->staged_length = random.Below(200) == 0 ? ~0U : random.Below(64);
        ring.slot(slot)->args[random.Below(6)] = random.Next();
      }
      for (uint32_t blind = random.Below(16); blind > 0; blind--) {
        Store(bell + random.Below(ring::kPageSize / 4) * 4, Word(&random, ticket));
        Store(ring.base() + random.Below(ring::kPageSize / 4) * 4, Word(&random, ticket));
        Store(reinterpret_cast<uint8_t*>(ring.slot(0)) +
                  random.Below(ring::kSlotCount * ring::kSlotSize / 4) * 4,
              Word(&random, ticket));
      }
      if (random.Below(128) == 0) {
        Store(ring.base() + ring::kQueueOffset + random.Below(ring::kQueueCapacity * 2) * 4,
              Word(&random, ticket));
      }
      if (random.Below(256) == 0)
        memset(ring.base(), static_cast<int>(random.Next() & 0xff), 1 << 17);
      if (random.Below(64) == 0)
        memset(bell, static_cast<int>(random.Next() & 0xff), ring::kPageSize);
      // The sentry has its turn before the queue overflows.
      sched_yield();
    }
  }

  const uint32_t index_;
  ExecutorEnd end_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// What the honest executor submits call after call.
void CallHonestly(const ExecutorEnd& end, const std::atomic<bool>& stop, uint64_t* calls) {
  ring::Slot* slot = end.ring().slot(5);
  for (uint64_t i = 1; !stop.load(); i++) {
    slot->args[0] = i;
    slot->staged_length = 8;
    memcpy(end.ring().staging(5), &i, sizeof i);
    end.Submit(5);
    end.Await(5);
    Expect(slot->result == static_cast<int64_t>(i), "the reply to this call");
    *calls = i;
  }
}

// Until so many attackers have been found out.
void RunThreads(uint64_t attacks, uint64_t seed) {
  Hub hub(1);
  int fd;
  Expect(hub.Create(&fd) == 0, "a ring");
  const ExecutorEnd honest(fd, hub.doorbell_fd());
  std::atomic<bool> stop{false};
  std::atomic<bool> stopped{false};
  uint64_t calls = 0;
  std::thread caller([&] {
    CallHonestly(honest, stop, &calls);
    stopped.store(true);
  });
  uint64_t violations = 0;
  uint64_t submissions = 0;
  uint32_t hostile = 0;
  std::unique_ptr<Attacker> attacker;
  for (uint64_t i = 0; !stopped.load(); i++) {
    if (attacker == nullptr && violations < attacks) {
      const int index = hub.Create(&fd);
      Expect(index > 0, "a ring");
      hostile = static_cast<uint32_t>(index);
      attacker = std::make_unique<Attacker>(hostile, fd, hub.doorbell_fd(), seed + i);
    }
    if (violations == attacks) stop.store(true);
    uint32_t flags;
    const uint32_t count = hub.Wait(i % 4 == 0 ? 1000 : 0, i % 8 == 0 ? 0 : -1, &flags);
    CheckBatch(&hub, count);
    for (uint32_t k = 0; k < count; k++) {
      const ring::Submission& one = hub.batch()->submissions[k];
      Expect(one.ring == 0 || one.ring == hostile, "a submission comes from a ring that is there");
      if (one.ring == 0) {
        uint64_t staged = 0;
        Expect(one.slot == 5 && one.payload_length == sizeof staged, "the honest request");
        memcpy(&staged, hub.batch()->payload + one.payload_offset, sizeof staged);
        Expect(staged == one.args[0], "the honest request");
      }
      hub.Complete(one.ring, one.slot, ring::Verb::kReturn, static_cast<int64_t>(one.args[0]));
    }
    submissions += count;
    for (int ring = hub.TakeViolation(); ring >= 0; ring = hub.TakeViolation()) {
      Expect(ring == static_cast<int>(hostile), "only the ring that was violated is reported");
      violations++;
      // Its executor writes on while the sentry already gives it up.
      hub.Destroy(hostile);
      attacker.reset();
    }
  }
  caller.join();
  Expect(calls > 0 && submissions > calls, "both had their turns");
  printf("%llu submissions, %llu violations, %llu honest calls\n",
         static_cast<unsigned long long>(submissions), static_cast<unsigned long long>(violations),
         static_cast<unsigned long long>(calls));
}

}  // namespace
}  // namespace dd::test

int main(int argc, char** argv) {
  using namespace dd::test;
  alarm(kAlarmSeconds);
  const uint64_t scripts = Argument(argc, argv, 1, 2000);
  const uint64_t seed = Argument(argc, argv, 3, 1);
  RunScripts(scripts, seed);
  printf("%llu scripts\n", static_cast<unsigned long long>(scripts));
  RunThreads(Argument(argc, argv, 2, 300), seed);
  return 0;
}
