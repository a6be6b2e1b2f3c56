// Functions of the host's vDSO. See vdso(7).
#pragma once

namespace dd::host {

// The address of a function of the vDSO, or null.
void* VdsoSymbol(const char* name);

}  // namespace dd::host
