#include "ring/hub.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace dd {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

uint64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000U + static_cast<uint64_t>(now.tv_nsec);
}

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  asm volatile("yield");
#endif
}

void FutexWake(void* word) { syscall(SYS_futex, word, FUTEX_WAKE, 1, nullptr, nullptr, 0); }

// False when the time was over.
bool FutexWait(void* word, uint32_t expected, int64_t timeout_ms) {
  timespec relative{timeout_ms / 1000, (timeout_ms % 1000) * 1000000};
  const long result = syscall(SYS_futex, word, FUTEX_WAIT, expected, &relative, nullptr, 0);
  return result == 0 || errno != ETIMEDOUT;
}

// Shared memory that nobody can shrink or grow: no access through the mapping can fault.
void* SealedMemory(const char* name, size_t bytes, int* fd) {
  *fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (*fd < 0) return nullptr;
  if (ftruncate(*fd, static_cast<off_t>(bytes)) == 0 && fcntl(*fd, F_ADD_SEALS, kSeals) == 0) {
    void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (base != MAP_FAILED) {
      return base;
    }
  }
  const int error = errno;
  close(*fd);
  *fd = -1;
  errno = error;
  return nullptr;
}

}  // namespace

Hub::Hub(int64_t patience_ms) : batch_(new Batch), patience_ms_(patience_ms) {
  doorbell_ =
      static_cast<ring::Doorbell*>(SealedMemory("dd-doorbell", ring::kPageSize, &doorbell_fd_));
}

Hub::~Hub() {
  if (watcher_.joinable()) {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(stop_fd_, &one, sizeof one);
    ready_.store(0);
    ready_.notify_all();
    watcher_.join();
    close(stop_fd_);
  }
  for (uint32_t i = 0; i < rings_.size(); i++) Destroy(i);
  if (doorbell_ != nullptr) munmap(doorbell_, ring::kPageSize);
  if (doorbell_fd_ >= 0) close(doorbell_fd_);
}

void Hub::Watch(std::vector<Watched> watched) {
  watched_ = std::move(watched);
  stop_fd_ = eventfd(0, EFD_CLOEXEC);
  watcher_ = std::thread([this] { WatchLoop(); });
}

void Hub::WatchLoop() {
  std::vector<pollfd> fds;
  for (const Watched& one : watched_) fds.push_back({one.fd, POLLIN, 0});
  fds.push_back({stop_fd_, POLLIN, 0});
  for (;;) {
    if (poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) return;
    if (fds.back().revents != 0) return;
    uint32_t flags = 0;
    for (size_t i = 0; i < watched_.size(); i++) {
      if (fds[i].revents != 0) flags |= watched_[i].flag;
    }
    if (flags == 0) continue;
    ready_.store(flags);
    if (sleeping_.load()) {
      std::atomic_ref(doorbell_->sequence).fetch_add(1);
      FutexWake(&doorbell_->sequence);
    }
    // Rest until the sentry has seen it and looks again.
    ready_.wait(flags);
  }
}

int Hub::Create(int* fd) {
  uint32_t index = next_index_;
  for (uint32_t tried = 0; BaseOf(index) != nullptr; tried++) {
    if (tried == ring::kRingLimit) return -EAGAIN;
    index = (index + 1) % ring::kRingLimit;
  }
  void* base = SealedMemory("dd-ring", ring::kRingBytes, fd);
  if (base == nullptr) return -errno;
  // A fork of a guest on one of our threads gets a ring of its own. (The doorbell it keeps.)
  madvise(base, ring::kRingBytes, MADV_DONTFORK);
  if (index >= rings_.size()) rings_.resize(index + 1);
  rings_[index] = Entry{base, ring::Consumer(), false, false};
  next_index_ = (index + 1) % ring::kRingLimit;
  auto* header = static_cast<ring::RingHeader*>(base);
  header->magic = ring::kMagic;
  header->version = ring::kVersion;
  header->slot_count = ring::kSlotCount;
  header->queue_capacity = ring::kQueueCapacity;
  header->queue_offset = ring::kQueueOffset;
  header->slots_offset = ring::kSlotsOffset;
  header->staging_offset = ring::kStagingOffset;
  header->staging_size = ring::kStagingSize;
  header->ring_index = index;
  header->first_ticket = ring::kFirstTicket;
  header->tail = ring::kFirstTicket;
  return static_cast<int>(index);
}

void Hub::Destroy(uint32_t index) {
  if (index >= rings_.size() || rings_[index].base == nullptr) return;
  Entry& entry = rings_[index];
  munmap(entry.base, ring::kRingBytes);
  if (entry.violated && !entry.reported) violations_--;
  entry = Entry{};
}

uint8_t* Hub::BaseOf(uint32_t ring) {
  return ring < rings_.size() ? static_cast<uint8_t*>(rings_[ring].base) : nullptr;
}

ring::Slot* Hub::SlotOf(uint32_t ring, uint32_t slot) {
  if (ring >= rings_.size() || rings_[ring].base == nullptr || slot >= ring::kSlotCount) {
    return nullptr;
  }
  return ring::Ring(rings_[ring].base).slot(slot);
}

uint8_t* Hub::StagingOf(uint32_t ring, uint32_t slot) {
  if (SlotOf(ring, slot) == nullptr) return nullptr;
  return ring::Ring(rings_[ring].base).staging(slot);
}

bool Hub::AnyPending() const {
  for (const uint64_t& word : doorbell_->pending) {
    if (std::atomic_ref(const_cast<uint64_t&>(word)).load() != 0) return true;
  }
  return false;
}

// Copies one request out of shared memory; from here on nobody looks at the original again.
bool Hub::Take(uint32_t ring, uint32_t slot, ring::Submission* out, uint8_t* payload) {
  const ring::Ring view(rings_[ring].base);
  const ring::Slot* shared = view.slot(slot);
  out->ring = ring;
  out->slot = slot;
  out->nr = std::atomic_ref(const_cast<uint32_t&>(shared->nr)).load(std::memory_order_relaxed);
  out->staged_mask =
      std::atomic_ref(const_cast<uint32_t&>(shared->staged_mask)).load(std::memory_order_relaxed);
  const uint32_t length =
      std::atomic_ref(const_cast<uint32_t&>(shared->staged_length)).load(std::memory_order_relaxed);
  for (int i = 0; i < 6; i++) {
    out->args[i] =
        std::atomic_ref(const_cast<uint64_t&>(shared->args[i])).load(std::memory_order_relaxed);
  }
  for (int i = 0; i < 8; i++) {
    out->staged_offset[i] = std::atomic_ref(const_cast<uint16_t&>(shared->staged_offset[i]))
                                .load(std::memory_order_relaxed);
  }
  if (length > ring::kStagingSize) return false;
  out->payload_length = length;
  memcpy(payload, view.staging(slot), length);
  return true;
}

// Makes the next Collect look at every ring, whatever the doorbell says.
void Hub::CarryAll() {
  for (uint32_t index = 0; index < rings_.size(); index++) {
    if (rings_[index].base != nullptr) carried_[index / 64] |= uint64_t{1} << (index % 64);
  }
}

uint32_t Hub::Collect() {
  uint32_t count = 0;
  for (uint32_t word = 0; word < ring::kRingLimit / 64; word++) {
    uint64_t bits = carried_[word];
    carried_[word] = 0;
    if (std::atomic_ref(doorbell_->pending[word]).load(std::memory_order_relaxed) != 0) {
      bits |= std::atomic_ref(doorbell_->pending[word]).exchange(0);
    }
    for (; bits != 0; bits &= bits - 1) {
      const uint32_t index = word * 64 + static_cast<uint32_t>(__builtin_ctzll(bits));
      if (BaseOf(index) == nullptr || rings_[index].violated) continue;  // a dead or lying ring
      for (;;) {
        if (count == kBatchLimit) {
          carried_[word] |= uint64_t{1} << (index % 64);
          break;
        }
        uint32_t slot;
        const auto popped = rings_[index].consumer.Next(ring::Ring(rings_[index].base), &slot);
        if (popped == ring::Consumer::Pop::kEmpty) break;
        ring::Submission* out = &batch_->submissions[count];
        out->payload_offset = count * ring::kStagingSize;
        if (popped == ring::Consumer::Pop::kViolation ||
            !Take(index, slot, out, batch_->payload + out->payload_offset)) {
          rings_[index].violated = true;
          violations_++;
          break;
        }
        count++;
      }
    }
  }
  return count;
}

int Hub::TakeViolation() {
  if (violations_ == 0) return -1;
  for (uint32_t index = 0; index < rings_.size(); index++) {
    Entry& entry = rings_[index];
    if (!entry.violated || entry.reported) continue;
    entry.reported = true;
    violations_--;
    return static_cast<int>(index);
  }
  return -1;
}

uint32_t Hub::Wait(uint64_t spin_ns, int64_t timeout_ms, uint32_t* flags) {
  // What the last wait reported has been dealt with by now: the watcher may look again.
  if (reported_) {
    ready_.store(0);
    ready_.notify_all();
  }
  const auto take_ready = [this, flags] {
    *flags = ready_.load();
    reported_ = *flags != 0;
    return reported_;
  };
  uint32_t count = Collect();
  if (take_ready() || count > 0 || violations_ > 0 || timeout_ms == 0) return count;

  if (spin_ns > 0) {
    const int cpu = sched_getcpu();
    std::atomic_ref(doorbell_->cpu).store(static_cast<uint32_t>(cpu), std::memory_order_relaxed);
    const uint64_t end = NowNs() + spin_ns;
    do {
      for (int i = 0; i < 64; i++) {
        if (AnyPending() || ready_.load(std::memory_order_relaxed) != 0) {
          count = Collect();
          take_ready();
          return count;
        }
        Pause();
      }
    } while (NowNs() < end);
  }

  sleeping_.store(true);
  std::atomic_ref(doorbell_->sleeping).store(1);
  const uint32_t sequence = std::atomic_ref(doorbell_->sequence).load();
  if (!AnyPending() && ready_.load() == 0) {
    const bool for_long = timeout_ms < 0 || timeout_ms >= patience_ms_;
    const bool woken =
        FutexWait(&doorbell_->sequence, sequence, for_long ? patience_ms_ : timeout_ms);
    if (!woken && for_long) CarryAll();
  }
  std::atomic_ref(doorbell_->sleeping).store(0);
  sleeping_.store(false);
  count = Collect();
  take_ready();
  return count;
}

void Hub::Complete(uint32_t ring, uint32_t slot, ring::Verb verb, int64_t result) {
  ring::Slot* shared = SlotOf(ring, slot);
  if (shared != nullptr && ring::Reply(shared, verb, result)) FutexWake(&shared->done);
}

}  // namespace dd
