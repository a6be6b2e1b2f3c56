// A guest that runs in place sees the host's processor.
#include <sys/auxv.h>

#include "guest/host/facts.h"

namespace dd::host {

void FillGuestFacts(ring::LauncherHello* hello) {
  hello->vdso = getauxval(AT_SYSINFO_EHDR);
  hello->hwcap = getauxval(AT_HWCAP);
  hello->hwcap2 = getauxval(AT_HWCAP2);
  hello->minsigstksz = static_cast<uint32_t>(getauxval(AT_MINSIGSTKSZ));
}

}  // namespace dd::host
