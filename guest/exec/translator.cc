// Running guest threads: enter code, and do what it was left for.
#include "guest/exec/translator.h"

#include "guest/exec/cache.h"
#include "guest/ir/interpret.h"
#include "guest/ir/op_traits.h"

namespace dd::exec {
namespace {

using select::x64::Left;

// In State::interrupt: the translator itself wants the thread out of code.
constexpr uint32_t kTranslatorCalls = 1u << 31;

void CallAllOut(Translator* t) {
  for (Runner* r = t->runners; r != nullptr; r = r->next) {
    __atomic_or_fetch(&r->state->interrupt, kTranslatorCalls, __ATOMIC_SEQ_CST);
  }
}

// With the lock held, outside of code: throws the whole cache away, when all have left it.
void MakeRoom(Translator* t) {
  __atomic_store_n(&t->reset_pending, 1, __ATOMIC_SEQ_CST);
  CallAllOut(t);
  for (Runner* r = t->runners; r != nullptr; r = r->next) {
    while (__atomic_load_n(&r->in_code, __ATOMIC_SEQ_CST) != 0) t->host.yield();
  }
  Reset(t);
  __atomic_store_n(&t->reset_pending, 0, __ATOMIC_SEQ_CST);
}

// A guest flushes denormals.
void NoteFlushing(Translator* t) {
  Lock(t);
  if (!t->environment.flushes) {
    t->environment.flushes = true;
    MakeRoom(t);
  }
  Unlock(t);
}

uint32_t* Place(Translator* t, uint64_t pc) {
  return &t->dispatch->offsets[pc >> 2 & select::x64::Dispatch::kMask];
}

// The code at `pc`; the runner is in code then. 0: nothing can be fetched there.
uint64_t Arrive(Translator* t, Runner* runner, uint64_t pc) {
  __atomic_store_n(&runner->in_code, 1, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&t->reset_pending, __ATOMIC_SEQ_CST) == 0) {
    const uint64_t offset = __atomic_load_n(Place(t, pc), __ATOMIC_ACQUIRE);
    const auto* entry =
        reinterpret_cast<const Entry*>(reinterpret_cast<uint64_t>(t->dispatch) + offset);
    const uint64_t host = __atomic_load_n(&entry->host, __ATOMIC_ACQUIRE);
    if (entry->pc == pc && host != t->environment.translate) return host;
  }
  __atomic_store_n(&runner->in_code, 0, __ATOMIC_SEQ_CST);
  Lock(t);
  bool no_room;
  uint64_t host = Translate(t, pc, &no_room);
  if (no_room || t->stale) {
    MakeRoom(t);
    host = Translate(t, pc, &no_room);
  }
  if (host != 0) {
    const uint64_t offset =
        reinterpret_cast<uint64_t>(EntryOf(t, pc)) - reinterpret_cast<uint64_t>(t->dispatch);
    __atomic_store_n(Place(t, pc), static_cast<uint32_t>(offset), __ATOMIC_RELEASE);
    __atomic_store_n(&runner->in_code, 1, __ATOMIC_SEQ_CST);
  }
  Unlock(t);
  return host;
}

void Drop(Translator* t, const Translation& translation) {
  if (translation.entry->host == translation.code) {
    __atomic_store_n(&translation.entry->host, t->environment.translate, __ATOMIC_SEQ_CST);
  }
}

// Threads inside of what has been dropped leave it.
void InvalidateLocked(Translator* t, uint64_t begin, uint64_t end) {
  bool any = false;
  bool relied_on = false;
  const auto visit = [&](const Translation& translation, uint64_t page) {
    relied_on = true;
    const bool own =
        page >= translation.low >> kPageBits && page <= (translation.high - 1) >> kPageBits;
    if (own && (translation.low >= end || translation.high <= begin)) return;
    if (translation.entry->host != translation.code) return;
    Drop(t, translation);
    any = true;
  };
  const uint64_t first = begin >> kPageBits;
  const uint64_t last = (end - 1) >> kPageBits;
  if (last - first < kPageBuckets) {
    for (uint64_t page = first; page <= last; page++) {
      const uint32_t bucket = static_cast<uint32_t>((page * 0x9e3779b97f4a7c15) >> 50);
      for (uint32_t i = t->page_buckets[bucket]; i != 0; i = t->page_uses[i].next) {
        const PageUse& use = t->page_uses[i];
        if (use.page == page) visit(t->translations[use.translation], page);
      }
    }
  } else {
    for (uint32_t i = 1; i < t->page_use_count; i++) {
      const PageUse& use = t->page_uses[i];
      if (use.page >= first && use.page <= last) visit(t->translations[use.translation], use.page);
    }
  }
  if (relied_on) ForgetFlags(t);
  ForgetPages(t, begin, end);
  if (any) CallAllOut(t);
}

// The lock first: who is about to translate old bytes holds it until the page is known.
bool MayBeTranslated(Translator* t, uint64_t page) {
  if (__atomic_load_n(&t->lock, __ATOMIC_SEQ_CST) != 0) return true;
  if (LoanAt(t, page << kPageBits) != nullptr) return true;
  const uint32_t bucket = static_cast<uint32_t>((page * 0x9e3779b97f4a7c15) >> 50);
  return __atomic_load_n(&t->page_buckets[bucket], __ATOMIC_ACQUIRE) != 0;
}

constexpr uint64_t kLineBytes = 64;

class Running {
 public:
  Running(Translator* t, ir::State* state) : t_(t), runner_{state, 0, nullptr, nullptr} {
    Lock(t);
    runner_.next = t->runners;
    runner_.previous = &t->runners;
    if (t->runners != nullptr) t->runners->previous = &runner_.next;
    t->runners = &runner_;
    Unlock(t);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    Lock(t_);
    *runner_.previous = runner_.next;
    if (runner_.next != nullptr) runner_.next->previous = runner_.previous;
    Unlock(t_);
  }
  Runner* runner() { return &runner_; }

 private:
  Translator* t_;
  Runner runner_;
};

Exit RunUntilExit(Translator* t, ir::State* state, Runner* runner) {
  const auto enter = reinterpret_cast<Left (*)(ir::State*, uint64_t)>(t->enter);
  for (;;) {
    if (state->interrupt != 0) {
      const uint32_t rest =
          __atomic_and_fetch(&state->interrupt, ~kTranslatorCalls, __ATOMIC_SEQ_CST);
      if (rest != 0) return {ExitKind::kInterrupt, {}};
    }
    state->pc &= ir::kAddressMask;
    const uint64_t host = Arrive(t, runner, state->pc);
    if (host == 0) return {ExitKind::kFetchFault, {}};
    const Left left = enter(state, host);
    __atomic_store_n(&runner->in_code, 0, __ATOMIC_SEQ_CST);
    switch (left) {
      case Left::kTranslate:
        break;
      case Left::kSyscall:
        return {ExitKind::kSyscall, {}};
      case Left::kUndefined:
        return {ExitKind::kTrap, ir::TrapKind::kUndefined};
      case Left::kBreakpoint:
        return {ExitKind::kTrap, ir::TrapKind::kBreakpoint};
      case Left::kIllegalMemory:
        return {ExitKind::kTrap, ir::TrapKind::kIllegalMemory};
      case Left::kInterrupt:
        if ((state->interrupt & kTranslatorCalls) == 0) return {ExitKind::kInterrupt, {}};
        break;
      case Left::kSignalled:
        return {ExitKind::kInterrupt, {}};
      case Left::kFlushes:
        NoteFlushing(t);
        break;
      case Left::kInvalidateCode: {
        const uint64_t line =
            state->scratch[select::x64::kScratchLine] & ir::kAddressMask & ~(kLineBytes - 1);
        if (MayBeTranslated(t, line >> kPageBits)) Invalidate(t, line, line + kLineBytes);
        break;
      }
    }
  }
}

}  // namespace

Exit Run(Translator* translator, ir::State* state) {
  Running running(translator, state);
  uint64_t& mxcsr = state->scratch[select::x64::kScratchMxcsr];
  mxcsr = select::x64::MxcsrOf(state->fpcr);
  const bool flushes = (state->fpcr & ir::kFpcrFlushToZero) != 0;
  if (flushes && !translator->environment.flushes) NoteFlushing(translator);
  const Exit exit = RunUntilExit(translator, state, running.runner());
  state->fpsr |= select::x64::FpsrOf(static_cast<uint32_t>(mxcsr));
  return exit;
}

void Invalidate(Translator* translator, uint64_t begin, uint64_t end) {
  if (begin >= end) return;
  Lock(translator);
  InvalidateLocked(translator, begin, end);
  Unlock(translator);
}

RefusedAccess Refused(Translator* translator, ir::State* state) {
  constexpr uint64_t kHostLimit = uint64_t{1} << 47;
  constexpr size_t kInstructionLimit = 16;
  RefusedAccess refused = {RefusedAccess::kUnmapped, 0};
  Lock(translator);
  uint8_t bytes[kInstructionLimit];
  ir::Arena arena(translator->peek_arena, kPeekArenaBytes);
  ir::Block block;
  const size_t size = translator->host.fetch(bytes, state->pc, sizeof bytes);
  if (translator->lower(bytes, size, state->pc, &arena, &block) == 0) block.op_count = 0;
  bool found = false;
  // What comes before an access computes its address, in temporaries only.
  for (uint32_t i = 0; i < block.op_count && block.ops[i].pc_offset == 0; i++) {
    const ir::Op& op = block.ops[i];
    if (KindOf(op.code) == ir::OpKind::kTerminator) break;
    if (!MayFault(op)) {
      if (!found) ir::Execute(*state, op);
      continue;
    }
    const uint64_t tagged = ir::AccessedAddress(*state, op);
    const uint64_t address = tagged & ir::kAddressMask;
    const bool pair =
        op.code == ir::OpCode::kCompareSwapPair || op.code == ir::OpCode::kStoreExclusivePair;
    const bool unaligned = pair && (address & 15) != 0;
    if (address < kHostLimit && tagged == address && !unaligned) continue;
    refused = {address >= kHostLimit ? RefusedAccess::kUnmapped
               : unaligned           ? RefusedAccess::kUnaligned
                                     : RefusedAccess::kTagged,
               address};
    found = true;
    break;
  }
  if (refused.kind == RefusedAccess::kTagged && !translator->environment.tagged) {
    translator->environment.tagged = true;
    MakeRoom(translator);
  }
  Unlock(translator);
  return refused;
}

void BeforeFork(Translator* translator) { Lock(translator); }
void AfterFork(Translator* translator, bool child) {
  if (child) {
    translator->runners = nullptr;
    translator->fresh->count = 0;
  }
  Unlock(translator);
}

}  // namespace dd::exec
