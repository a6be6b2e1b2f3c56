// The direct plane's waits for several descriptors: epoll(7) and poll(2).
#include "guest/native/context.h"
#include "guest/native/direct.h"
#include "guest/native/syscalls.h"
#include "guest/native/waiting.h"

namespace dd::native {
namespace {

constexpr long kSigsetBytes = 8;
constexpr int64_t kMsPerSecond = 1000;
constexpr int64_t kNsPerMs = 1000000;

// epoll_ctl(2)'s operations.
constexpr uint64_t kAdd = 1;
constexpr uint64_t kDelete = 2;
// A count that says "many", and stays.
constexpr uint8_t kWatchedMax = 255;

// Reports one call brings at most, whatever room the guest has.
constexpr uint32_t kEventsMax = 128;
// Descriptors one call asks about at most; more go to the sentry.
constexpr uint32_t kPollMax = 32;

// The host's struct epoll_event.
struct [[gnu::packed]] HostEvent {
  uint32_t events;
  uint64_t data;
};

// A timeout in milliseconds, across several waits. A negative one is for ever.
class Patience {
 public:
  Patience(Thread* thread, int timeout) : thread_(thread), left_(timeout) {
    // Now() is cut to whole milliseconds, and no wait is to be shorter than asked for.
    if (timeout > 0) end_ = Now() + timeout + 1;
  }

  long left() const { return left_; }

  // Some of the time has passed. Whether any is left.
  bool Go() {
    if (left_ > 0) {
      const int64_t rest = end_ - Now();
      left_ = rest > 0 ? static_cast<long>(rest) : 0;
    }
    return left_ != 0;
  }

 private:
  int64_t Now() const {
    constexpr int kClockMonotonic = 1;
    Timespec now = {};
    auto* clock = thread_->space->environment.clock_gettime;
    if (clock == nullptr || clock(kClockMonotonic, &now) != 0) return 0;
    return now.sec * kMsPerSecond + now.nsec / kNsPerMs;
  }

  Thread* thread_;
  long left_;
  int64_t end_ = 0;
};

// Stores reports for the guest. 0 or -EFAULT.
long Store(uint64_t at, const HostEvent* events, uint32_t count) {
  if (kEpollEvent.bytes == sizeof(HostEvent)) return CopyOut(at, events, count * sizeof *events);
  long error = 0;
  for (uint32_t i = 0; i < count && error == 0; i++, at += kEpollEvent.bytes) {
    const uint32_t bits = events[i].events;
    const uint64_t data = events[i].data;
    error = CopyOut(at, &bits, sizeof bits);
    if (error == 0) error = CopyOut(at + kEpollEvent.data_at, &data, sizeof data);
  }
  return error;
}

// Takes the bell's report out. Whether it was there.
bool TakeBell(HostEvent* events, uint32_t* count, uint64_t bell) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < *count; i++) {
    if (events[i].data != bell) events[kept++] = events[i];
  }
  const bool rang = kept < *count;
  *count = kept;
  return rang;
}

// An epoll_ctl(2) by the sentry, whose registrations are counted.
long Control(Thread* thread, const uint64_t args[6]) {
  const long result = Forwarded(thread, kEpollCtl, args);
  uint8_t* watched = &thread->space->watched[args[2]];
  if (result == 0 && args[1] == kAdd && *watched < kWatchedMax) ++*watched;
  // Whoever has stopped counting never begins again.
  if (result == 0 && args[1] == kDelete && *watched > 0 && *watched < kWatchedMax) --*watched;
  return result;
}

// The event of an epoll_ctl(2) as the host has it. False where it cannot be read.
bool LoadEvent(uint64_t at, HostEvent* event) {
  uint32_t bits = 0;
  uint64_t data = 0;
  if (CopyIn(&bits, at, sizeof bits) != 0) return false;
  if (CopyIn(&data, at + kEpollEvent.data_at, sizeof data) != 0) return false;
  *event = {bits, data};
  return true;
}

}  // namespace

// A registration is known by an open file and a descriptor's number: the sentry's are its own,
// those made here have the number of the lease. So one of the two knows it, and never both.
long DirectEpollControl(Thread* thread, const uint64_t args[6]) {
  const uint64_t fd = args[2];
  if (fd >= kLeaseLimit) return kNotHere;
  const Lease lease = LeaseOf(thread, fd);
  if (lease < Lease::kHeld || LeaseOf(thread, args[0]) != Lease::kWaits) {
    return Control(thread, args);
  }
  const bool deletes = args[1] == kDelete;
  const bool adds = args[1] == kAdd;
  HostEvent event = {};
  if (!deletes && !LoadEvent(args[3], &event)) return Control(thread, args);
  const uint8_t* watched = &thread->space->watched[fd];
  if (adds && *watched > 0) return Control(thread, args);
  const auto control = [&](uint64_t operation) {
    return Host(kEpollCtl, Leased(args[0]), operation, Leased(fd), &event);
  };
  const long result = control(args[1]);
  if (result == -kEbadf || (deletes && result == -kEnoent)) return Control(thread, args);
  if (result != -kEnoent || *watched == 0) return result;
  // The sentry's registration, to be changed: ours takes its place. What was ready is told again,
  // as it is after any change.
  const uint64_t take[6] = {args[0], kDelete, fd, args[3]};
  const long taken = Control(thread, take);
  return taken == 0 ? control(kAdd) : taken;
}

long DirectEpollWait(Thread* thread, long nr, const uint64_t args[6]) {
  const auto maximum = static_cast<int32_t>(args[2]);
  const bool brings_mask = nr == kEpollPwait && args[4] != 0;
  if (maximum <= 0 || brings_mask || LeaseOf(thread, args[0]) != Lease::kWaits) return kNotHere;
  const auto room = static_cast<uint32_t>(maximum);
  HostEvent events[kEventsMax];
  Patience patience(thread, static_cast<int32_t>(args[3]));
  for (;;) {
    const long found =
        WaitFor(thread, {kEpollPwait,
                         {Leased(args[0]), Register(events), room < kEventsMax ? room : kEventsMax,
                          patience.left(), 0, kSigsetBytes}});
    if (found == -kEintr) return -kErestartnohand;
    if (found < 0) return kNotHere;
    auto count = static_cast<uint32_t>(found);
    const bool rang = TakeBell(events, &count, thread->space->bell);
    if (Store(args[1], events, count) != 0) return -kEfault;
    if (!rang) return count;
    const uint64_t request[6] = {args[0], args[1] + uint64_t{count} * kEpollEvent.bytes,
                                 room - count};
    const Reply soft = RuntimeRequest(thread, ring::RuntimeCall::kSoftEvents, request);
    if (soft.result > 0) count += static_cast<uint32_t>(soft.result);
    // The bell may have rung for what has passed.
    if (count > 0 || !patience.Go()) return count;
  }
}

long DirectPoll(Thread* thread, const uint64_t args[6]) {
  const uint64_t count = args[1];
  if (count == 0 || count > kPollMax) return kNotHere;
  PollFd asked[kPollMax];
  PollFd own[kPollMax];
  if (CopyIn(asked, args[0], count * sizeof *asked) != 0) return kNotHere;
  for (uint64_t i = 0; i < count; i++) {
    own[i] = asked[i];
    if (asked[i].fd < 0) continue;
    const auto fd = static_cast<uint64_t>(asked[i].fd);
    if (LeaseOf(thread, fd) < Lease::kLent) return kNotHere;
    own[i].fd = static_cast<int32_t>(Leased(fd));
  }
  const long found = WaitFor(
      thread, {kPoll, {Register(own), Register(count), static_cast<int32_t>(args[2]), 0, 0, 0}});
  if (found == -kEintr) return -kErestartnohand;
  if (found < 0) return kNotHere;
  constexpr int16_t kPollnval = 0x20;
  for (uint64_t i = 0; i < count; i++) {
    // Closed meanwhile by another thread, perhaps to be opened again.
    if ((own[i].revents & kPollnval) != 0) return kNotHere;
    asked[i].revents = own[i].revents;
  }
  return CopyOut(args[0], asked, count * sizeof *asked) != 0 ? -kEfault : found;
}

}  // namespace dd::native
