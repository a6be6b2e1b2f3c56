// Lost wakes: executor threads that sleep until each reply, and a sentry that sleeps whenever there
// is nothing to do, never spins and never looks by itself. One lost wake and nothing moves any
// more; the alarm ends the program then.
//
//   doorbell-stress [CALLS [RINGS [THREADS]]]
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "ring/hub.h"
#include "test/native/executor.h"
#include "test/native/expect.h"

namespace dd::test {
namespace {

constexpr int64_t kForEver = INT32_MAX;
constexpr unsigned kAlarmSeconds = 100;

void Call(const ExecutorEnd& executor, uint32_t index, uint64_t calls, uint64_t seed) {
  Random random(seed);
  ring::Slot* slot = executor.ring().slot(index);
  for (uint64_t i = 0; i < calls; i++) {
    slot->args[0] = i;
    executor.Submit(index);
    // Sometimes the reply is there already when it looks, sometimes just not yet.
    for (uint32_t spin = random.Below(400); spin > 0; spin--) asm volatile("");
    executor.Await(index);
    Expect(slot->result == static_cast<int64_t>(i + index), "the reply to this call");
  }
}

}  // namespace
}  // namespace dd::test

int main(int argc, char** argv) {
  using namespace dd;
  const uint64_t calls = test::Argument(argc, argv, 1, 20'000);
  const uint32_t rings = static_cast<uint32_t>(test::Argument(argc, argv, 2, 3));
  const uint32_t threads = static_cast<uint32_t>(test::Argument(argc, argv, 3, 2));
  alarm(test::kAlarmSeconds);
  Hub hub(test::kForEver);
  test::Expect(hub.valid(), "memory for the doorbell");
  std::vector<std::unique_ptr<test::ExecutorEnd>> executors;
  for (uint32_t i = 0; i < rings; i++) {
    int fd;
    test::Expect(hub.Create(&fd) == static_cast<int>(i), "a ring");
    executors.push_back(std::make_unique<test::ExecutorEnd>(fd, hub.doorbell_fd()));
  }
  std::vector<std::thread> guests;
  for (uint32_t i = 0; i < rings * threads; i++) {
    guests.emplace_back(test::Call, std::cref(*executors[i / threads]), i % threads, calls, i);
  }
  for (uint64_t left = calls * rings * threads; left > 0;) {
    uint32_t flags;
    const uint32_t count = hub.Wait(0, -1, &flags);
    for (uint32_t i = 0; i < count; i++) {
      const ring::Submission& one = hub.batch()->submissions[i];
      hub.Complete(one.ring, one.slot, ring::Verb::kReturn,
                   static_cast<int64_t>(one.args[0] + one.slot));
    }
    left -= count;
  }
  for (std::thread& guest : guests) guest.join();
  test::Expect(hub.TakeViolation() < 0, "honest executors violate nothing");
  printf("%llu calls\n", static_cast<unsigned long long>(calls * rings * threads));
  return 0;
}
