// Which techniques of the translator a test program is to do without: names from
// guest/select/techniques.h, with commas, in the environment variable DD_TRANSLATOR_WITHOUT.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "guest/exec/cache.h"

namespace dd::test {

// Ends the program where a name is none.
inline void LeaveOutAsAsked(exec::Translator* translator) {
  const char* value = getenv("DD_TRANSLATOR_WITHOUT");
  if (value == nullptr) return;
  select::Without without;
  for (std::string_view rest = value; !rest.empty();) {
    const size_t comma = rest.find(',');
    const std::string_view name = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    bool known = false;
    for (uint8_t i = 0; const std::string_view each : select::kTechniqueNames) {
      if (each == name) {
        without.Add(static_cast<select::Technique>(i));
        known = true;
      }
      i++;
    }
    if (!known) {
      fprintf(stderr, "DD_TRANSLATOR_WITHOUT: there is no technique %.*s\n",
              static_cast<int>(name.size()), name.data());
      exit(126);
    }
  }
  if (!exec::LeaveOut(translator, without)) {
    fprintf(stderr, "DD_TRANSLATOR_WITHOUT: the host refuses\n");
    exit(126);
  }
}

}  // namespace dd::test
