#include "test/native/translator/translated.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

#include <cstring>

#include "guest/lower/a64/lower.h"
#include "test/native/translator/techniques.h"

namespace dd::test {

namespace {

constexpr size_t kCacheBytes = size_t{32} << 20;

void* Map(size_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return at == MAP_FAILED ? nullptr : at;
}
bool Protect(void* at, size_t bytes, bool executable) {
  return mprotect(at, bytes, PROT_READ | (executable ? PROT_EXEC : PROT_WRITE)) == 0;
}
// Only the page of the vectors' code can be executed.
size_t Fetch(void* to, uint64_t pc, size_t limit) {
  if (pc < DD_CODE_ADDRESS || pc >= DD_CODE_ADDRESS + DD_CODE_BYTES) return 0;
  const size_t room = DD_CODE_ADDRESS + DD_CODE_BYTES - pc;
  const size_t bytes = limit < room ? limit : room;
  memcpy(to, reinterpret_cast<const void*>(pc), bytes);
  return bytes;
}
void Yield() { sched_yield(); }

}  // namespace

Translated::Translated(bool watching)
    : translator_(exec::Make({Map, Protect, Fetch, Yield}, kCacheBytes, lower::a64::LowerBlock)) {
  Expect(translator_ != nullptr, "a translator can be made");
  LeaveOutAsAsked(translator_);
  if (!watching) return;
  dd_vector vector{};
  vector.words[0] = 0xd53b4420;  // mrs x0, fpsr
  vector.count = 1;
  dd_outcome outcome;
  Run(&vector, &outcome, 1);
}

void Translated::Run(const dd_vector* in, dd_outcome* out, size_t count) {
  for (size_t i = 0; i < count; i++) {
    LoadVector(in[i]);
    exec::Invalidate(translator_, DD_CODE_ADDRESS, DD_CODE_ADDRESS + DD_CODE_BYTES);
    ir::State state = StateOf(in[i]);
    exec::Exit exit;
    do {
      exit = exec::Run(translator_, &state);
    } while (exit.kind == exec::ExitKind::kInterrupt);
    int signal = SIGTRAP;
    if (exit.kind == exec::ExitKind::kFetchFault) signal = SIGSEGV;
    if (exit.kind == exec::ExitKind::kTrap && exit.trap == ir::TrapKind::kUndefined) {
      signal = SIGILL;
    }
    out[i] = OutcomeOf(state, signal);
  }
}

}  // namespace dd::test
