// The interpreter: guest memory, atomics, system registers.
#include "guest/ir/kernels.h"
#include "guest/ir/op_traits.h"

namespace dd::ir {

uint64_t (*read_clock)(uint32_t number) = nullptr;
uint32_t count_clock = 0;

namespace kernel {

namespace {

uint64_t TaggedAddress(const State& state, const Op& op) {
  uint64_t index = 0;
  if (!op.b.none()) {
    index = ReadG(state, op, op.b);
    if (IndexExtend(op) == Extend::kUxtw) index = Truncate(index, 32);
    if (IndexExtend(op) == Extend::kSxtw) index = static_cast<uint64_t>(SignExtend(index, 32));
  }
  return ReadG(state, op, op.a) + (index << op.lane) + static_cast<uint64_t>(op.imm);
}

uint64_t Address(const State& state, const Op& op) {
  return TaggedAddress(state, op) & kAddressMask;
}

// Whose b is a value.
uint64_t TaggedAtomicAddress(const State& state, const Op& op) {
  return ReadG(state, op, op.a) + static_cast<uint64_t>(op.imm);
}
uint64_t AtomicAddress(const State& state, const Op& op) {
  return TaggedAtomicAddress(state, op) & kAddressMask;
}

template <typename T>
T* At(uint64_t address) {
  return reinterpret_cast<T*>(address);
}

template <typename T>
T Peek(uint64_t address) {
  T value;
  __builtin_memcpy(&value, At<void>(address), sizeof value);
  return value;
}
template <typename T>
void Poke(uint64_t address, T value) {
  __builtin_memcpy(At<void>(address), &value, sizeof value);
}

uint64_t PeekWidth(uint64_t address, Width width) {
  switch (width) {
    case Width::k8:
      return Peek<uint8_t>(address);
    case Width::k16:
      return Peek<uint16_t>(address);
    case Width::k32:
      return Peek<uint32_t>(address);
    default:
      return Peek<uint64_t>(address);
  }
}

void PokeWidth(uint64_t address, Width width, uint64_t value) {
  switch (width) {
    case Width::k8:
      return Poke(address, static_cast<uint8_t>(value));
    case Width::k16:
      return Poke(address, static_cast<uint16_t>(value));
    case Width::k32:
      return Poke(address, static_cast<uint32_t>(value));
    default:
      return Poke(address, value);
  }
}

void FullFence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

// *address = f(*address), atomically; returns what was there.
template <typename T, typename F>
uint64_t UpdateAs(uint64_t address, F f) {
  T* const at = At<T>(address);
  T old = __atomic_load_n(at, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(at, &old, static_cast<T>(f(uint64_t{old})), false,
                                      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
  }
  return old;
}

template <typename F>
uint64_t Update(uint64_t address, Width width, F f) {
  switch (width) {
    case Width::k8:
      return UpdateAs<uint8_t>(address, f);
    case Width::k16:
      return UpdateAs<uint16_t>(address, f);
    case Width::k32:
      return UpdateAs<uint32_t>(address, f);
    default:
      return UpdateAs<uint64_t>(address, f);
  }
}

// Stores `desired` if `expected` is there; returns what was.
uint64_t CompareAndSwap(uint64_t address, Width width, uint64_t expected, uint64_t desired) {
  const uint64_t mask = MaskOf(Bits(width));
  return Update(address, width,
                [&](uint64_t old) { return old == (expected & mask) ? desired : old; });
}

#if defined(__x86_64__)
__attribute__((target("cx16")))
#endif
uint128
CompareAndSwap128(uint64_t address, uint128 expected, uint128 desired) {
  return __sync_val_compare_and_swap(At<uint128>(address), expected, desired);
}

uint128 Join(uint64_t low, uint64_t high) { return uint128{high} << 64 | low; }

template <typename F>
void Atomic(State& state, const Op& op, F f) {
  const uint64_t b = ReadG(state, op, op.b);
  const uint64_t old =
      Update(AtomicAddress(state, op), op.width, [&](uint64_t value) { return f(value, b); });
  WriteG(state, op.dst, old);
}

// The greater or lesser one of two values of the operation's width.
uint64_t Extreme(const Op& op, uint64_t a, uint64_t b, bool greatest) {
  const int128 x = Number(Truncate(a, Bits(op.width)), op.width, IsSigned(op));
  const int128 y = Number(Truncate(b, Bits(op.width)), op.width, IsSigned(op));
  return (x > y) == greatest ? a : b;
}

}  // namespace

void Load(State& s, const Op& op) {
  uint64_t value = PeekWidth(Address(s, op), op.width);
  if (op.bits & kAcquire) FullFence();
  if (IsSigned(op)) {
    value = static_cast<uint64_t>(SignExtend(value, Bits(op.width)));
    value = Truncate(value, Bits(LoadTo(op)));
  }
  WriteG(s, op.dst, value);
}

void Store(State& s, const Op& op) {
  if (op.bits & kRelease) FullFence();
  PokeWidth(Address(s, op), op.width, ReadG(s, op, op.c));
  if (op.bits & kRelease) FullFence();
}

void LoadVector(State& s, const Op& op) {
  const uint64_t address = Address(s, op);
  V128 value = ZeroV();
  if (op.width == Width::k128) {
    value = Peek<V128>(address);
  } else {
    value.d[0] = PeekWidth(address, op.width);
  }
  WriteV(s, op.dst, value);
}

void StoreVector(State& s, const Op& op) {
  const uint64_t address = Address(s, op);
  const V128 value = ReadV(s, op.c);
  if (op.width == Width::k128) {
    Poke(address, value);
  } else {
    PokeWidth(address, op.width, value.d[0]);
  }
}

void AtomicAdd(State& s, const Op& op) {
  Atomic(s, op, [](uint64_t a, uint64_t b) { return a + b; });
}
void AtomicAndNot(State& s, const Op& op) {
  Atomic(s, op, [](uint64_t a, uint64_t b) { return a & ~b; });
}
void AtomicOr(State& s, const Op& op) {
  Atomic(s, op, [](uint64_t a, uint64_t b) { return a | b; });
}
void AtomicXor(State& s, const Op& op) {
  Atomic(s, op, [](uint64_t a, uint64_t b) { return a ^ b; });
}
void AtomicMax(State& s, const Op& op) {
  Atomic(s, op, [&](uint64_t a, uint64_t b) { return Extreme(op, a, b, true); });
}
void AtomicMin(State& s, const Op& op) {
  Atomic(s, op, [&](uint64_t a, uint64_t b) { return Extreme(op, a, b, false); });
}
void AtomicSwap(State& s, const Op& op) {
  Atomic(s, op, [](uint64_t, uint64_t b) { return b; });
}

void CompareSwap(State& s, const Op& op) {
  const uint64_t old =
      CompareAndSwap(AtomicAddress(s, op), op.width, ReadG(s, op, op.b), ReadG(s, op, op.c));
  WriteG(s, op.dst, old);
}

void CompareSwapPair(State& s, const Op& op) {
  const uint64_t address = AtomicAddress(s, op);
  const uint64_t expected[] = {ReadG(s, op, op.b), ReadG(s, op, Next(op.b))};
  const uint64_t desired[] = {ReadG(s, op, op.c), ReadG(s, op, Next(op.c))};
  if (op.width == Width::k32) {
    const uint64_t old =
        CompareAndSwap(address, Width::k64, Truncate(expected[0], 32) | expected[1] << 32,
                       Truncate(desired[0], 32) | desired[1] << 32);
    WriteG(s, op.dst, Truncate(old, 32));
    WriteG(s, Next(op.dst), old >> 32);
    return;
  }
  const uint128 old =
      CompareAndSwap128(address, Join(expected[0], expected[1]), Join(desired[0], desired[1]));
  WriteG(s, op.dst, static_cast<uint64_t>(old));
  WriteG(s, Next(op.dst), static_cast<uint64_t>(old >> 64));
}

void LoadExclusive(State& s, const Op& op) {
  const uint64_t address = AtomicAddress(s, op);
  s.exclusive_value.d[0] = PeekWidth(address, op.width);
  s.exclusive_value.d[1] = 0;
  s.exclusive_addr = address;
  if (op.bits & kAcquire) FullFence();
  WriteG(s, op.dst, s.exclusive_value.d[0]);
}

void LoadExclusivePair(State& s, const Op& op) {
  const uint64_t address = AtomicAddress(s, op);
  s.exclusive_value.d[0] = PeekWidth(address, op.width);
  s.exclusive_value.d[1] = PeekWidth(address + Bytes(op.width), op.width);
  s.exclusive_addr = address;
  if (op.bits & kAcquire) FullFence();
  WriteG(s, op.dst, s.exclusive_value.d[0]);
  WriteG(s, op.b, s.exclusive_value.d[1]);
}

void StoreExclusive(State& s, const Op& op) {
  const uint64_t address = AtomicAddress(s, op);
  bool stored = false;
  if (address == s.exclusive_addr) {
    const uint64_t expected = Truncate(s.exclusive_value.d[0], Bits(op.width));
    stored = CompareAndSwap(address, op.width, expected, ReadG(s, op, op.b)) == expected;
  }
  s.exclusive_addr = kNoExclusive;
  WriteG(s, op.dst, !stored);
}

void StoreExclusivePair(State& s, const Op& op) {
  const uint64_t address = AtomicAddress(s, op);
  bool stored = false;
  const uint64_t low = ReadG(s, op, op.b);
  const uint64_t high = ReadG(s, op, op.c);
  if (address == s.exclusive_addr) {
    const V128 seen = s.exclusive_value;
    if (op.width == Width::k32) {
      const uint64_t expected = Truncate(seen.d[0], 32) | seen.d[1] << 32;
      stored =
          CompareAndSwap(address, Width::k64, expected, Truncate(low, 32) | high << 32) == expected;
    } else {
      const uint128 expected = Join(seen.d[0], seen.d[1]);
      stored = CompareAndSwap128(address, expected, Join(low, high)) == expected;
    }
  }
  s.exclusive_addr = kNoExclusive;
  WriteG(s, op.dst, !stored);
}

void ClearExclusive(State& s, const Op&) { s.exclusive_addr = kNoExclusive; }

void Fence(State&, const Op&) { FullFence(); }

void ReadSystem(State& s, const Op& op) {
  uint64_t value = 0;
  switch (static_cast<SystemRegister>(op.imm)) {
    case SystemRegister::kThreadPointer:
      value = s.tls;
      break;
    case SystemRegister::kFloatControl:
      value = s.fpcr;
      break;
    case SystemRegister::kFloatStatus:
      value = s.fpsr;
      break;
    case SystemRegister::kVirtualCount:
      value = read_clock == nullptr ? 0 : read_clock(count_clock);
      break;
    case SystemRegister::kClock:
      value = read_clock == nullptr ? kNoClock : read_clock(op.lane);
      break;
    case SystemRegister::kCountFrequency:
      value = kVirtualCountHz;
      break;
  }
  WriteG(s, op.dst, value);
}

void WriteSystem(State& s, const Op& op) {
  const uint64_t value = ReadG(s, op, op.a);
  switch (static_cast<SystemRegister>(op.imm)) {
    case SystemRegister::kThreadPointer:
      s.tls = value;
      break;
    case SystemRegister::kFloatControl:
      s.fpcr = static_cast<uint32_t>(value) & kFpcrMask;
      break;
    case SystemRegister::kFloatStatus:
      s.fpsr = static_cast<uint32_t>(value) & kFpsrMask;
      break;
    case SystemRegister::kVirtualCount:
    case SystemRegister::kCountFrequency:
    case SystemRegister::kClock:
      break;
  }
}

// The interpreter reads every operation of a block that it runs from the block itself; who keeps
// code is told by its own row.
void InvalidateCode(State&, const Op&) {}

void ZeroBlock(State& s, const Op& op) {
  const uint64_t line = AtomicAddress(s, op) & ~uint64_t{63};
  for (uint32_t i = 0; i < 64; i += 8) Poke<uint64_t>(line + i, 0);
}

void Pause(State&, const Op&) {}

}  // namespace kernel

uint64_t AccessedAddress(const State& state, const Op& op) {
  return KindOf(op.code) == OpKind::kMemory ? kernel::TaggedAddress(state, op)
                                            : kernel::TaggedAtomicAddress(state, op);
}

}  // namespace dd::ir
