#include "test/native/hub_script.h"

#include <string.h>

#include <memory>

#include "test/native/executor.h"
#include "test/native/expect.h"

namespace dd::test {
namespace {

constexpr uint64_t kHonestNr = 0x1234;

// The input, read piece by piece; zeroes after its end.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool AtEnd() const { return size_ == 0; }
  uint8_t Byte() {
    if (size_ == 0) return 0;
    size_--;
    return *data_++;
  }
  uint32_t Word() {
    uint32_t word = 0;
    for (int i = 0; i < 4; i++) word = (word << 8) | Byte();
    return word;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

class Scene {
 public:
  Scene() : hub_(1), honest_(Join()), hostile_(Join()) {}

  void Step(Input* input) {
    const ring::Ring ring = hostile_->ring();
    switch (input->Byte() % 12) {
      case 0:  // any word of what lies before the staging areas
        Store(ring.base(), input->Word() % (ring::kStagingOffset / 4), input->Word());
        break;
      case 1:  // any word of the doorbell's page
        Store(reinterpret_cast<uint8_t*>(hostile_->doorbell()),
              input->Word() % (ring::kPageSize / 4), input->Word());
        break;
      case 2:  // an entry with nearly the right ticket
        ring.entry(pushed_)->value =
            (static_cast<uint64_t>(pushed_ + 1 + input->Byte() % 4) << 32) | input->Word() % 1100;
        break;
      case 3:  // lengths around the limit
        ring.slot(input->Byte())->staged_length = ring::kStagingSize - 128 + input->Byte();
        break;
      case 4:
        ring.slot(input->Byte())->staged_length = input->Word();
        break;
      case 5:  // an honest submission, again and again perhaps
      case 6:
        ring.header()->tail = pushed_;
        ring::Push(ring, input->Byte());
        pushed_++;
        break;
      case 7:
        ring::Announce(hostile_->doorbell(), input->Byte() % 4);
        break;
      case 8:
        hub_.Complete(input->Byte() % 4, input->Word() % 1100,
                      static_cast<ring::Verb>(input->Byte()), input->Word());
        break;
      case 9:  // the machine has ended it and starts another
        hub_.Destroy(hostile_->ring_index());
        hostile_ = Join();
        pushed_ = ring::kFirstTicket;
        break;
      case 10:
        CallHonestly();
        break;
      default:
        Wait();
        break;
    }
  }

  // Whatever came before, the honest executor's call is answered.
  void CallHonestly() {
    honest_call_++;
    const uint32_t index = honest_call_ % ring::kSlotCount;
    ring::Slot* slot = honest_->ring().slot(index);
    slot->nr = kHonestNr;
    slot->staged_length = honest_call_ % 512;
    slot->args[0] = honest_call_;
    memset(honest_->ring().staging(index), static_cast<int>(honest_call_ & 0xff), 512);
    honest_->Submit(index);
    answered_ = false;
    // The hub's patience is a millisecond: it looks by itself when the doorbell lies.
    for (int i = 0; i < 100 && !answered_; i++) Wait();
    Expect(answered_, "an honest executor is heard");
    Expect(slot->done == 1 && slot->result == honest_call_, "an honest executor is answered");
  }

 private:
  // One executor's end, and the index the sentry knows it by.
  class Member : public ExecutorEnd {
   public:
    Member(uint32_t index, int fd, int doorbell) : ExecutorEnd(fd, doorbell), index_(index) {}
    uint32_t ring_index() const { return index_; }

   private:
    uint32_t index_;
  };

  static void Store(uint8_t* base, uint32_t word, uint32_t value) {
    memcpy(base + static_cast<size_t>(word) * 4, &value, sizeof value);
  }

  std::unique_ptr<Member> Join() {
    int fd;
    const int index = hub_.Create(&fd);
    Expect(index >= 0, "a ring");
    return std::make_unique<Member>(static_cast<uint32_t>(index), fd, hub_.doorbell_fd());
  }

  void Wait() {
    uint32_t flags;
    const uint32_t count = hub_.Wait(0, -1, &flags);
    CheckBatch(&hub_, count);
    for (uint32_t i = 0; i < count; i++) {
      const ring::Submission& one = hub_.batch()->submissions[i];
      if (one.ring != honest_->ring_index()) {
        Expect(one.ring == hostile_->ring_index(), "a submission comes from a ring that is there");
        continue;
      }
      const uint8_t* payload = hub_.batch()->payload + one.payload_offset;
      Expect(one.nr == kHonestNr && one.args[0] == honest_call_ &&
                 one.slot == honest_call_ % ring::kSlotCount,
             "an honest request arrives as it was sent");
      Expect(one.payload_length == honest_call_ % 512, "and so does what it staged");
      for (uint32_t k = 0; k < one.payload_length; k++) {
        Expect(payload[k] == (honest_call_ & 0xff), "and so does what it staged");
      }
      hub_.Complete(one.ring, one.slot, ring::Verb::kReturn, honest_call_);
      answered_ = true;
    }
    for (int violation = hub_.TakeViolation(); violation >= 0; violation = hub_.TakeViolation()) {
      Expect(violation == static_cast<int>(hostile_->ring_index()),
             "only the ring that was violated is reported");
      hub_.Destroy(hostile_->ring_index());
      hostile_ = Join();
      pushed_ = ring::kFirstTicket;
    }
  }

  Hub hub_;
  std::unique_ptr<Member> honest_;
  std::unique_ptr<Member> hostile_;
  uint32_t pushed_ = ring::kFirstTicket;
  uint32_t honest_call_ = 0;
  bool answered_ = false;
};

}  // namespace

void CheckBatch(Hub* hub, uint32_t count) {
  Expect(count <= kBatchLimit, "a batch has a limit");
  for (uint32_t i = 0; i < count; i++) {
    const ring::Submission& one = hub->batch()->submissions[i];
    Expect(hub->SlotOf(one.ring, one.slot) != nullptr, "a submission names a slot that exists");
    Expect(one.payload_offset == i * ring::kStagingSize && one.payload_length <= ring::kStagingSize,
           "a payload lies in its place");
  }
}

void RunScript(const uint8_t* data, size_t size) {
  Input input(data, size);
  Scene scene;
  while (!input.AtEnd()) scene.Step(&input);
  scene.CallHonestly();
}

}  // namespace dd::test
