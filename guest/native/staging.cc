#include "guest/native/staging.h"

namespace dd::native {
namespace {

enum Kind : uint8_t {
  kValue = 0,
  kString,     // NUL-terminated
  kIn,         // a structure of `number` bytes the call reads
  kOut,        // one it fills in
  kInBuffer,   // bytes it reads; argument `number` says how many
  kOutBuffer,  // bytes it fills; likewise, and the result says how many it did
};

struct Argument {
  Kind kind;
  uint16_t number;
};

struct Row {
  uint16_t nr;
  Argument arguments[6];
};

constexpr Row kRows[] = {
#include DD_STAGING_ROWS
};
constexpr uint32_t kRowCount = sizeof kRows / sizeof *kRows;

constexpr long kNumbers = 512;
struct Index {
  uint16_t row[kNumbers] = {};  // one more than the row's number; 0: none
  constexpr Index() {
    for (uint32_t i = 0; i < kRowCount; i++) row[kRows[i].nr] = static_cast<uint16_t>(i + 1);
  }
};
constexpr Index kIndex;

constexpr uint32_t kPathMax = 4096;
// Longer buffers are moved by the sentry, all at once.
constexpr uint64_t kBufferMax = 48 * 1024;

const Row* RowOf(long nr) {
  if (nr < 0 || nr >= kNumbers || kIndex.row[nr] == 0) return nullptr;
  return &kRows[kIndex.row[nr] - 1];
}

uint32_t Align(uint32_t at) { return (at + 7) & ~7U; }

// One call's way through the staging area.
class Stager {
 public:
  Stager(Thread* thread, const uint64_t* args) : thread_(thread), args_(args) {}

  void In(int index, const Argument& argument) {
    uint8_t* to = thread_->staging + at_;
    const uint64_t from = args_[index];
    uint64_t bytes = 0;
    if (argument.kind == kString) {
      const uint32_t room = ring::kStagingSize - at_;
      const uint32_t limit = room < kPathMax ? room : kPathMax;
      const long length =
          dd_copy_string(reinterpret_cast<char*>(to), reinterpret_cast<const char*>(from), limit);
      if (length < 0 || length >= static_cast<long>(limit)) return;
      bytes = static_cast<uint64_t>(length) + 1;
    } else {
      bytes = argument.kind == kIn ? argument.number : args_[argument.number];
      if (bytes == 0 || !Fits(bytes) || CopyIn(to, from, bytes) != 0) return;
    }
    Take(index, static_cast<uint32_t>(bytes));
  }

  void Out(int index, const Argument& argument) {
    const uint64_t bytes = argument.kind == kOut ? argument.number : args_[argument.number];
    const uint64_t to = args_[index];
    if (to == 0 || bytes == 0 || !Fits(bytes)) return;
    // A bad address is found before the call has done anything: the sentry then finds it, too, in
    // time.
    if (!Writable(to) || !Writable(to + bytes - 1)) return;
    Take(index, static_cast<uint32_t>(bytes));
  }

  uint32_t at() const { return at_; }
  uint32_t mask() const { return mask_; }

 private:
  static bool Writable(uint64_t addr) { return dd_probe(reinterpret_cast<uint8_t*>(addr)) == 0; }

  bool Fits(uint64_t bytes) const {
    return bytes <= kBufferMax && bytes <= ring::kStagingSize - at_;
  }

  void Take(int index, uint32_t bytes) {
    thread_->slot->staged_offset[index] = static_cast<uint16_t>(at_);
    mask_ |= 1U << index;
    at_ = Align(at_ + bytes);
  }

  Thread* thread_;
  const uint64_t* args_;
  uint32_t at_ = 0;
  uint32_t mask_ = 0;
};

}  // namespace

Staged StageIn(Thread* thread, long nr, const uint64_t args[6]) {
  const Row* row = RowOf(nr);
  if (row == nullptr) return {};
  Stager stager(thread, args);
  for (int i = 0; i < 6; i++) {
    const Argument& argument = row->arguments[i];
    const bool in = argument.kind == kString || argument.kind == kIn || argument.kind == kInBuffer;
    if (in && args[i] != 0) stager.In(i, argument);
  }
  Staged staged;
  staged.length = stager.at();
  for (int i = 0; i < 6; i++) {
    const Argument& argument = row->arguments[i];
    if (argument.kind == kOut || argument.kind == kOutBuffer) stager.Out(i, argument);
  }
  staged.mask = stager.mask();
  return staged;
}

long StageOut(Thread* thread, long nr, const uint64_t args[6], const Staged& staged,
              const Reply& reply) {
  const Row* row = RowOf(nr);
  if (row == nullptr || staged.mask == 0) return reply.result;
  for (int i = 0; i < 6; i++) {
    if ((staged.mask & (1U << i)) == 0) continue;
    const Argument& argument = row->arguments[i];
    uint64_t bytes = 0;
    if (argument.kind == kOut && (reply.operands[0] & (1U << i)) != 0) bytes = argument.number;
    if (argument.kind == kOutBuffer && reply.result > 0) {
      const uint64_t room = args[argument.number];
      const auto count = static_cast<uint64_t>(reply.result);
      bytes = count < room ? count : room;
    }
    if (bytes == 0) continue;
    if (CopyOut(args[i], thread->staging + thread->slot->staged_offset[i], bytes) != 0) {
      return -kEfault;
    }
  }
  return reply.result;
}

}  // namespace dd::native
