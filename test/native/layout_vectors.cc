// The structs of ring.fbs as C++ lays them out, for a test that compares them with ring/layout.ts.
//
//   layout-vectors write   a line per struct: its name and, in hexadecimal, its bytes with every
//   field set layout-vectors read    reads such lines from standard input; fails unless each says
//   the same layout-vectors numbers   a line per number of ring/protocol.h and guest/native/abi.h
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "guest/native/abi.h"
#include "ring/layout.h"
#include "ring/protocol.h"

namespace dd::test {
namespace {

// Sets fields to 1, 2, ...: a field's number in each of its bytes, in order of calls.
class Filler {
 public:
  template <typename Field>
  void Set(Field& field) {
    next_++;
    memset(&field, static_cast<int>(next_), sizeof field);
  }

 private:
  uint8_t next_ = 0;
};

struct Vector {
  const char* name;
  std::vector<uint8_t> bytes;
};

template <typename Struct>
Vector Bytes(const char* name, const Struct& value) {
  static_assert(std::is_trivially_copyable_v<Struct>);
  std::vector<uint8_t> bytes(sizeof value);
  memcpy(bytes.data(), &value, sizeof value);
  return {name, bytes};
}

#define DD_VECTOR(Struct, ...)                                            \
  [] {                                                                    \
    ring::Struct value;                                                   \
    memset(&value, 0, sizeof value);                                      \
    Filler filler;                                                        \
    const auto set = [&](auto&... fields) { (filler.Set(fields), ...); }; \
    auto& [__VA_ARGS__] = value;                                          \
    set(__VA_ARGS__);                                                     \
    return Bytes(#Struct, value);                                         \
  }()

// A field that is missing here does not compile: a structured binding names them all, in order.
std::vector<Vector> Vectors() {
  return {
      DD_VECTOR(RingHeader, a, b, c, d, e, f, g, h, i, j, k, l, m),
      DD_VECTOR(QueueEntry, a),
      DD_VECTOR(Slot, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q),
      DD_VECTOR(Doorbell, a, b, c, d, e, f),
      DD_VECTOR(PlanStep, a, b, c, d, e, f, g),
      DD_VECTOR(LauncherRequest, a, b, c, d, e, f),
      DD_VECTOR(OwnedHeader, a, b, c, d),
      DD_VECTOR(CodeHeader, a, b, c),
      DD_VECTOR(AheadRequest, a, b, c),
      DD_VECTOR(CodeRange, a, b),
      DD_VECTOR(OwnedRange, a, b, c, d, e),
      DD_VECTOR(LauncherReply, a, b, c, d, e),
      DD_VECTOR(LauncherHello, a, b, c, d, e, f, g, h, i),
      DD_VECTOR(Submission, a, b, c, d, e, f, g, h),
      DD_VECTOR(SignalFrame, a, b, c, d, e, f, g),
  };
}

std::string Line(const Vector& vector) {
  std::string line = vector.name;
  line += ' ';
  for (const uint8_t byte : vector.bytes) {
    char text[3];
    snprintf(text, sizeof text, "%02x", byte);
    line += text;
  }
  return line;
}

int Read() {
  int failures = 0;
  static char line[8192];
  for (const Vector& vector : Vectors()) {
    if (fgets(line, sizeof line, stdin) == nullptr) line[0] = 0;
    line[strcspn(line, "\n")] = 0;
    const std::string expected = Line(vector);
    if (expected == line) continue;
    printf("expected %s\nread     %s\n", expected.c_str(), line);
    failures++;
  }
  return failures == 0 ? 0 : 1;
}

void Say(const char* name, uint64_t value) {
  printf("%s %llu\n", name, static_cast<unsigned long long>(value));
}

#define DD_SAY(name) Say(#name, static_cast<uint64_t>(name))

void Numbers() {
  using enum ring::Verb;
  using enum ring::RuntimeCall;
  DD_SAY(kReturn);
  DD_SAY(kEnter);
  DD_SAY(kThread);
  DD_SAY(kFork);
  DD_SAY(kVfork);
  DD_SAY(kExitThread);
  DD_SAY(kExitGroup);
  DD_SAY(kMapFile);
  DD_SAY(kSignal);
  DD_SAY(kStart);
  DD_SAY(kSignalRequest);
  DD_SAY(kFault);
  DD_SAY(kCloneFailed);
  DD_SAY(kPlanFailed);
  DD_SAY(kAttached);
  DD_SAY(kLease);
  DD_SAY(kSoftEvents);
  DD_SAY(ring::Attach::kExecutor);
  DD_SAY(ring::Attach::kFork);
  DD_SAY(ring::Attach::kVfork);
  DD_SAY(ring::Attach::kFile);
  DD_SAY(ring::kSlotCount);
  DD_SAY(ring::kStagingSize);
  DD_SAY(ring::kThreadGone);
  DD_SAY(native::kSigkick);
  DD_SAY(sizeof(ring::SignalFrame));
  DD_SAY(offsetof(ring::SignalFrame, handler));
  DD_SAY(offsetof(ring::SignalFrame, flags));
  DD_SAY(offsetof(ring::SignalFrame, restorer));
  DD_SAY(offsetof(ring::SignalFrame, mask));
  DD_SAY(offsetof(ring::SignalFrame, signo));
  DD_SAY(offsetof(ring::SignalFrame, info));
}

}  // namespace
}  // namespace dd::test

int main(int argc, char** argv) {
  using namespace dd::test;
  const std::string what = argc == 2 ? argv[1] : "";
  if (what == "read") return Read();
  if (what == "numbers") {
    Numbers();
    return 0;
  }
  if (what != "write") return 64;
  for (const Vector& vector : Vectors()) printf("%s\n", Line(vector).c_str());
  return 0;
}
