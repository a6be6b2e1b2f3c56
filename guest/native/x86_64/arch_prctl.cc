// arch_prctl(2): the segment bases.
#include "guest/native/context.h"
#include "guest/native/syscalls.h"

namespace dd::native {
namespace {

constexpr uint64_t kArchSetGs = 0x1001;
constexpr uint64_t kArchSetFs = 0x1002;
constexpr uint64_t kArchGetFs = 0x1003;
constexpr uint64_t kArchGetGs = 0x1004;
constexpr uint64_t kUserEnd = 0x7ffffffff000;

long ArchPrctl(const uint64_t args[6]) {
  switch (args[0]) {
    case kArchSetFs:
      if (args[1] >= kUserEnd) return -kEperm;
      SetThreadPointer(nullptr, args[1]);
      return 0;
    case kArchGetFs: {
      const uint64_t base = ThreadPointer(nullptr);
      return CopyOut(args[1], &base, sizeof base);
    }
    case kArchGetGs: {
      const uint64_t zero = 0;
      return CopyOut(args[1], &zero, sizeof zero);
    }
    case kArchSetGs:
      // The GS base is the runtime's.
      return -kEperm;
    default:
      return -kEinval;
  }
}

}  // namespace

long ArchCall(Thread*, long nr, const uint64_t args[6]) {
  return nr == kArchPrctl ? ArchPrctl(args) : kNotHere;
}

}  // namespace dd::native
