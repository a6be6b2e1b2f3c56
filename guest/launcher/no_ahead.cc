// Guests that run in place are not translated.
#include "guest/launcher/ahead.h"

namespace dd::launcher {

int TranslateAhead() { return 64; }

}  // namespace dd::launcher
