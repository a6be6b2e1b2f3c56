// An arm64 guest sees the processor that is translated for, and a vDSO of our own.
#include "guest/host/facts.h"
#include "guest/isa/a64/features.h"
#include "guest/translated/arm64/vdso.h"

namespace dd::host {

// The kernel's figure for a frame with FP and Advanced SIMD: arch/arm64/kernel/signal.c.
constexpr uint32_t kSignalFrameBytes = 4720;

void FillGuestFacts(ring::LauncherHello* hello) {
  hello->vdso = translated::arm64::VdsoOf().begin;
  hello->hwcap = isa::a64::kHwcap;
  hello->hwcap2 = isa::a64::kHwcap2;
  hello->minsigstksz = kSignalFrameBytes;
}

}  // namespace dd::host
