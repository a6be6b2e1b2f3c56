// The sentry's end of all rings of one container: one doorbell, one consumer per ring, one wait.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ring/layout.h"
#include "ring/ring.h"

namespace dd {

// Submissions one wait returns at most.
constexpr uint32_t kBatchLimit = 32;
// The longest sleep. The doorbell belongs to every executor: one of them may have cleared another's
// bit or have said that nobody sleeps. After this long the sentry looks at every ring by itself.
constexpr int64_t kPatienceMs = 1000;

// What a wait found beside submissions.
enum WaitFlags : uint32_t {
  kDescriptorsReady = 1,  // the watched epoll descriptor is readable
  kLoopReady = 2,         // Node's own loop has something to do
};

// A private copy of what executors submitted.
struct Batch {
  ring::Submission submissions[kBatchLimit];
  uint8_t payload[kBatchLimit * ring::kStagingSize];
};

class Hub {
 public:
  // `watched` are host descriptors whose readability ends a wait, with the WaitFlags bit of each.
  struct Watched {
    int fd;
    uint32_t flag;
  };

  explicit Hub(int64_t patience_ms = kPatienceMs);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // False when the host refused the doorbell's memory; errno says why.
  bool valid() const { return doorbell_ != nullptr; }
  int doorbell_fd() const { return doorbell_fd_; }
  Batch* batch() { return batch_.get(); }

  // Starts the thread that waits for `watched`. Once.
  void Watch(std::vector<Watched> watched);

  // Makes a ring: sealed shared memory of ring::kRingBytes. Returns its index, or a negative errno.
  int Create(int* fd);
  // Unmaps a ring, and forgets what it had submitted. Its executor must be dead or never have had
  // it. The index is given to another ring as late as possible: copies of its submissions may still
  // be in a batch.
  void Destroy(uint32_t index);

  // Fills the batch. Spins up to `spin_ns` for work, then sleeps up to `timeout_ms` (-1: for ever).
  // Returns how many submissions there are; `*flags` gets WaitFlags.
  uint32_t Wait(uint64_t spin_ns, int64_t timeout_ms, uint32_t* flags);

  // A ring whose protocol was violated and that was not reported yet, or -1. It is not read again.
  int TakeViolation();

  ring::Doorbell* doorbell() { return doorbell_; }
  // The mapping of a ring; null unless it exists.
  uint8_t* BaseOf(uint32_t ring);
  // Null unless the ring exists and the slot number is in range.
  ring::Slot* SlotOf(uint32_t ring, uint32_t slot);
  uint8_t* StagingOf(uint32_t ring, uint32_t slot);

  // Publishes a reply and wakes the thread if it sleeps.
  void Complete(uint32_t ring, uint32_t slot, ring::Verb verb, int64_t result);

 private:
  struct Entry {
    void* base = nullptr;
    ring::Consumer consumer;
    bool violated = false;
    bool reported = false;
  };

  uint32_t Collect();
  bool Take(uint32_t ring, uint32_t slot, ring::Submission* out, uint8_t* payload);
  bool AnyPending() const;
  void CarryAll();
  void WatchLoop();

  int doorbell_fd_ = -1;
  ring::Doorbell* doorbell_ = nullptr;
  std::vector<Entry> rings_;
  std::unique_ptr<Batch> batch_;
  // Rings seen to have work that did not fit the batch.
  uint64_t carried_[ring::kRingLimit / 64] = {};
  // Rings violated and not reported yet.
  uint32_t violations_ = 0;
  uint32_t next_index_ = 0;
  const int64_t patience_ms_;

  std::vector<Watched> watched_;
  std::thread watcher_;
  int stop_fd_ = -1;
  // Set by the watcher; while any bit is set the watcher rests. Cleared by the wait after the one
  // that reported it.
  std::atomic<uint32_t> ready_{0};
  // What the doorbell says, too, but nobody else can write.
  std::atomic<bool> sleeping_{false};
  bool reported_ = false;
};

}  // namespace dd
