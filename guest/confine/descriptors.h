#ifndef DD_GUEST_CONFINE_DESCRIPTORS_H_
#define DD_GUEST_CONFINE_DESCRIPTORS_H_

#include <span>

#include "guest/confine/failure.h"

namespace dd::confine {

// Closes every descriptor of the process but those in `keep`, which must be sorted.
Failure CloseAllBut(std::span<const int> keep);

// Closes every descriptor outside the window of donated files.
Failure CloseAllButWindow();

}  // namespace dd::confine

#endif  // DD_GUEST_CONFINE_DESCRIPTORS_H_
