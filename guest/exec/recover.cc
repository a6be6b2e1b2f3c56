// From an interrupted context to the guest's state, for handlers of host signals.
#include "guest/emit/x64/operand.h"
#include "guest/exec/cache.h"

namespace dd::exec {
namespace {

using select::x64::kNowhere;

// Places in the host's general registers, as ucontext has them.
constexpr uint32_t kRegRax = 13, kRegRip = 16, kRegEflags = 17, kRegError = 19, kRegTrap = 20;
constexpr uint8_t kRegOf[] = {13, 14, 12, 11, 15, 10, 9, 8, 0, 1, 2, 3, 4, 5, 6, 7};
constexpr uint64_t kTrapPageFault = 14;
constexpr uint64_t kErrorFetch = 1 << 4;

const Translation* FindTranslation(const Translator* t, uint64_t host) {
  uint32_t low = 1;
  uint32_t high = __atomic_load_n(&t->translation_count, __ATOMIC_ACQUIRE);
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    const Translation& translation = t->translations[middle];
    if (host < translation.code) {
      high = middle;
    } else if (host >= translation.code + translation.code_bytes) {
      low = middle + 1;
    } else {
      return &translation;
    }
  }
  return nullptr;
}

const FaultPoint* FindPoint(const Translation& translation, uint64_t host) {
  const auto offset = static_cast<uint32_t>(host - translation.code);
  const FaultPoint* found = nullptr;
  uint32_t low = 0;
  uint32_t high = translation.point_count;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (translation.points[middle].offset <= offset) {
      found = &translation.points[middle];
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return found;
}

uint32_t FlagsOf(const Translator* t, uint8_t place, uint64_t eflags) {
  const auto lower = static_cast<uint32_t>(eflags & 0xff);
  if (place == FaultPoint::kFlagsFloat || place == FaultPoint::kFlagsFloatSwapped) {
    return t->constants
        ->flags_of_compare[place == FaultPoint::kFlagsFloatSwapped ? 1 : 0][lower & 0x47];
  }
  uint32_t flags = (lower & 0xc1) << 8;
  if (place == FaultPoint::kFlagsSub) flags ^= ir::kFlagC;
  if ((eflags >> 11 & 1) != 0) flags |= ir::kFlagV;
  return flags;
}

}  // namespace

Place Recover(Translator* t, const uint64_t* host_registers, const void* host_vectors,
              ir::State* state) {
  const uint64_t host = host_registers[kRegRip];
  if (host < reinterpret_cast<uint64_t>(t->code_begin) ||
      host >= reinterpret_cast<uint64_t>(t->code_end)) {
    return Place::kElsewhere;
  }
  // Pages of code are not executable for the moment that another thread writes to them.
  if (host_registers[kRegTrap] == kTrapPageFault &&
      (host_registers[kRegError] & kErrorFetch) != 0) {
    return Place::kRetry;
  }
  const Translation* translation = FindTranslation(t, host);
  if (translation == nullptr) return Place::kElsewhere;
  const FaultPoint* point = FindPoint(*translation, host);
  if (point == nullptr) return Place::kElsewhere;
  for (uint32_t i = 0; i < 32; i++) {
    const uint8_t g = translation->homes->g[i];
    if (g != kNowhere) {
      const bool saved = point->rbx_saved && g == Number(emit::x64::Gpr::kRbx);
      state->g[i] = saved ? state->scratch[select::x64::kScratchRbx] : host_registers[kRegOf[g]];
    }
    const uint8_t v = translation->homes->v[i];
    if (v != kNowhere) state->v[i] = static_cast<const ir::V128*>(host_vectors)[v];
  }
  if (point->flags != FaultPoint::kFlagsInState) {
    state->flags = FlagsOf(t, point->flags, host_registers[kRegEflags]);
  }
  state->pc = translation->pc + static_cast<uint64_t>(int64_t{point->pc_delta});
  return Place::kGuest;
}

void LeaveAt(Translator* t, uint64_t* host_registers) {
  host_registers[kRegRip] = t->environment.leave_state;
  host_registers[kRegRax] = static_cast<uint64_t>(select::x64::Left::kSignalled);
}

}  // namespace dd::exec
