// What generated code knows of the translator around it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guest/emit/x64/encoder.h"
#include "guest/ir/ir.h"
#include "guest/ir/state.h"
#include "guest/select/techniques.h"

namespace dd::select::x64 {

// Where a guest address is translated. Code jumps through it, so that making and dropping a
// translation is one store to `host`. Never moves, never freed; within 2 GiB of the code.
struct Entry {
  uint64_t pc;
  uint64_t host;  // of the translation, or the routine that leaves with rax = this entry
};
constexpr int32_t kEntryPc = 0;
constexpr int32_t kEntryHost = 8;

// Where indirect branches look: by bits 2.. of the guest address, how far from here an entry is
// that may be the one. All places but those that are set are 0, which leads to an entry that
// matches no address.
struct Dispatch {
  static constexpr uint32_t kBits = 16;
  static constexpr uint32_t kMask = (1u << kBits) - 1;

  Entry nothing;
  uint32_t offsets[size_t{1} << kBits];
};

// Why generated code was left, in eax.
enum class Left : uint32_t {
  kTranslate,  // State::pc has no translation yet
  kSyscall,
  kUndefined,  // + TrapKind
  kBreakpoint,
  kIllegalMemory,
  kInterrupt,
  kSignalled,       // a handler of the host's has made it leave: exec::LeaveAt
  kFlushes,         // the guest flushes denormals from now on; on at State::pc
  kInvalidateCode,  // the line at State::scratch[kScratchLine] has changed; on at State::pc
};

// Where generated code keeps what is its own in State::scratch.
constexpr uint32_t kScratchRbx = 0;        // while an instruction needs rbx
constexpr uint32_t kScratchHostStack = 1;  // rsp of the routine that entered
constexpr uint32_t kScratchMxcsr = 2;      // lower half: the guest's; upper: the host's
constexpr uint32_t kScratchLine = 3;
constexpr uint32_t kScratchTemp = 4;
constexpr uint32_t kScratchDesired = 5;
constexpr uint32_t kScratchXmm0 = 6;  // and 7: while an instruction needs xmm0

// General registers and vector registers that a region keeps guest registers in; kNowhere: the
// register lives in State.
constexpr uint8_t kNowhere = 0xff;
struct Homes {
  uint8_t g[32];
  uint8_t v[32];

  bool operator==(const Homes&) const = default;
};

// Every home has a guest register that it holds where code goes on in another region, so that most
// registers are neither stored nor loaded there; a region may use the home for another one
// meanwhile. Chosen by measuring: arguments, what functions keep, the stack.
struct Pinned {
  uint8_t g;
  emit::x64::Gpr home;
};
constexpr Pinned kPinned[] = {
    {0, emit::x64::Gpr::kRbx},  {1, emit::x64::Gpr::kRbp},  {2, emit::x64::Gpr::kRdi},
    {3, emit::x64::Gpr::kR8},   {19, emit::x64::Gpr::kR9},  {20, emit::x64::Gpr::kR10},
    {21, emit::x64::Gpr::kR11}, {22, emit::x64::Gpr::kR12}, {30, emit::x64::Gpr::kR13},
    {31, emit::x64::Gpr::kR14},
};

// r15 is State's address plus this: one-byte displacements reach all general registers.
constexpr int32_t kStateBias = 128;

// An instruction that may fault.
struct FaultPoint {
  enum : uint8_t { kFlagsInState, kFlagsSub, kFlagsAdd, kFlagsFloat, kFlagsFloatSwapped };
  uint32_t offset;   // of the first byte of host code it may be in, from the region's start
  int16_t pc_delta;  // of the guest instruction, from the region's pc
  uint8_t flags;     // where the flags are
  bool rbx_saved;    // rbx's guest register is in State::scratch[kScratchRbx]
};

struct Environment {
  void* context;
  // Null: no room.
  const Entry* (*entry_of)(void* context, uint64_t pc);
  // Whether code at `pc` may read flags that were set before it.
  bool (*flags_wanted)(void* context, uint64_t pc);

  // Routines, within 2 GiB.
  uint64_t leave;        // eax: Left; State is true but for pinned registers
  uint64_t leave_state;  // eax: Left; State is true
  uint64_t call_kernel;  // rax: ir::Op*; keeps all registers but rax, rcx, rdx, flags, xmm13-15
  uint64_t translate;    // rax: Entry*
  uint64_t look_up;      // rax: guest address without a usable place in `table`

  // Dispatch, within 2 GiB.
  uint64_t dispatch;
  // ConstantPool.
  uint64_t constants;

  // Addresses may have tags (ir::kAddressMask). Only then code takes them off: without it such an
  // address, which no x86-64 processor accepts, is a fault.
  bool tagged;
  // The host has instructions for SHA-256.
  bool has_sha;
  // What the guest's floating point is watched for, which costs something in each operation: some
  // guest code reads FPSR; some has set FPCR.FZ. See Codegen::KernelIfTiny and KernelIfFlushing.
  bool reads_status;
  bool flushes;
  // Nothing, but where that is what is being measured.
  Without without;
  // Where what the code refers to is noted; a limit of 0: nowhere.
  emit::x64::Reference* references;
  uint32_t reference_limit;
};

// Read-only data that generated code uses, within 2 GiB of it.
struct alignas(64) ConstantPool {
  uint64_t abs_double[2], abs_single[2];
  uint64_t sign_double[2], sign_single[2];
  uint32_t flags_of_compare[2][80];  // by ah of lahf after (v)ucomis; [1]: operands swapped
  uint8_t bytes_0f[16];
  uint8_t popcount_of_nibble[16];
  uint8_t reverse_in_2[16], reverse_in_4[16], reverse_in_8[16];
  uint8_t reverse_nibble_low[16], reverse_nibble_high[16];
  uint8_t aes_shift_rows[16], aes_inverse_shift_rows[16];
  uint8_t even_bytes[16], odd_bytes[16];
  uint8_t even_halves[16], odd_halves[16];
  uint16_t words_00ff[8];
  uint8_t ones_byte[16];
  uint16_t ones_half[8];
  double one, two_63, two_32;
  float one_single, two_63_single, two_32_single;
  uint64_t all_ones[2];
  uint64_t least_double[2], least_single[2];  // normal numbers
  uint64_t address_mask;
};
void FillConstants(ConstantPool* pool);

}  // namespace dd::select::x64
