#include "guest/host/facts.h"

#include <sys/auxv.h>

#include "guest/host/vdso.h"

namespace dd::host {
namespace {

constexpr uint64_t kHwcap2Fsgsbase = 2;

// Bytes the host saves of a thread's extended state in a signal frame, with the trailing magic.
uint32_t XsaveBytes() {
  uint32_t a = 0xd;
  uint32_t b;
  uint32_t c = 0;
  uint32_t d;
  asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  return b + 4;
}

}  // namespace

const char* MissingFeature() {
  return (getauxval(AT_HWCAP2) & kHwcap2Fsgsbase) != 0
             ? nullptr
             : "this CPU or kernel has no FSGSBASE instructions (Linux 5.9 or newer)";
}

void FillFacts(native::Environment* environment) {
  environment->clock_gettime =
      reinterpret_cast<decltype(environment->clock_gettime)>(VdsoSymbol("__vdso_clock_gettime"));
  environment->xsave_bytes = XsaveBytes();
}

}  // namespace dd::host
