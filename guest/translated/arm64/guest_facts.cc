// An arm64 guest sees the processor that is translated for, and no vDSO.
#include "guest/host/facts.h"
#include "guest/isa/a64/features.h"

namespace dd::host {

// The kernel's figure for a frame with FP and Advanced SIMD: arch/arm64/kernel/signal.c.
constexpr uint32_t kSignalFrameBytes = 4720;

void FillGuestFacts(ring::LauncherHello* hello) {
  hello->vdso = 0;
  hello->hwcap = isa::a64::kHwcap;
  hello->hwcap2 = isa::a64::kHwcap2;
  hello->minsigstksz = kSignalFrameBytes;
}

}  // namespace dd::host
