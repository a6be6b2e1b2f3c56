// Test vectors through generated code: see differential.h.
#pragma once

#include "guest/exec/translator.h"
#include "test/native/translator/differential.h"

namespace dd::test {

class Translated : public Machine {
 public:
  // `watching`: code has read FPSR before, so that exceptions are exact in every mode.
  explicit Translated(bool watching);
  const char* name() const override { return "translated"; }
  void Run(const dd_vector* in, dd_outcome* out, size_t count) override;

 private:
  exec::Translator* translator_;
};

}  // namespace dd::test
