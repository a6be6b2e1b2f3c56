// What makes translated code fast, one row each, so that what a technique brings can be measured by
// leaving it out. Nothing that runs a guest ever leaves one out: only programs of test/native call
// exec::LeaveOut, and the product has no way to.
//
// DD_TECHNIQUES(X) calls X(name, what it is called). docs/translator.md has what each brings.
#pragma once

#include <cstdint>

#define DD_TECHNIQUES(X)                                                                         \
  X(kHomes, "homes")   /* guest registers in host registers; without: in State, all */           \
  X(kPinned, "pinned") /* the same ones in all regions; without: homes are a region's own */     \
  X(kFloat, "float")   /* floating point on host instructions; without: in integers */           \
  X(kVector, "vector") /* vectors on host instructions */                                        \
  X(kDeadFlags, "dead-flags") /* flags that nobody reads are not computed */                     \
  X(kPeek, "peek")            /* which are wanted past a region's end is looked at */            \
  X(kResident, "resident")    /* flags stay in EFLAGS up to who reads them; without: in State */ \
  X(kChaining, "chaining")    /* regions go on to each other; without: through the dispatcher */ \
  X(kIndirect, "indirect")    /* the same of indirect branches and returns */                    \
  X(kRegions, "regions")      /* several blocks translated as one; without: blocks */

namespace dd::select {

#define DD_TECHNIQUE(name, text) name,
enum class Technique : uint8_t { DD_TECHNIQUES(DD_TECHNIQUE) };
#undef DD_TECHNIQUE

#define DD_TECHNIQUE(name, text) text,
inline constexpr const char* kTechniqueNames[] = {DD_TECHNIQUES(DD_TECHNIQUE)};
#undef DD_TECHNIQUE

// Techniques that are left out.
struct Without {
  uint32_t set = 0;

  constexpr bool operator()(Technique technique) const {
    return (set >> static_cast<uint32_t>(technique) & 1) != 0;
  }
  constexpr void Add(Technique technique) { set |= 1u << static_cast<uint32_t>(technique); }
};

}  // namespace dd::select
