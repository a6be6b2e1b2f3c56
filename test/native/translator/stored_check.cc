// Translations made ahead: a program is run once, and what it had to have translated is recorded
// from the bytes alone; a translator that is lent the record runs it elsewhere in memory without
// translating anything, with the same result. Where the bytes differ it translates.
#include <sched.h>
#include <sys/mman.h>

#include <cstring>
#include <vector>

#include "guest/exec/stored.h"
#include "guest/lower/a64/lower.h"
#include "test/native/expect.h"

namespace {

using dd::exec::Exit;
using dd::exec::ExitKind;
using dd::exec::Translator;
using dd::ir::State;
using dd::test::Expect;

constexpr size_t kPage = 4096;
constexpr size_t kBytes = 4 * kPage;

void* Map(size_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return at == MAP_FAILED ? nullptr : at;
}
bool Protect(void* at, size_t bytes, bool executable) {
  return mprotect(at, bytes, PROT_READ | (executable ? PROT_EXEC : PROT_WRITE)) == 0;
}
uint64_t code_begin, code_end;
size_t Fetch(void* to, uint64_t pc, size_t limit) {
  if (pc < code_begin || pc >= code_end) return 0;
  const size_t bytes = limit < code_end - pc ? limit : code_end - pc;
  memcpy(to, reinterpret_cast<const void*>(pc), bytes);
  return bytes;
}
void Yield() { sched_yield(); }
constexpr dd::exec::HostServices kHost = {Map, Protect, Fetch, Yield};

bool LeaveWritable(void*, size_t, bool) { return true; }
constexpr dd::exec::HostServices kRecording = {Map, LeaveWritable, Fetch, Yield};

// The file: a loop that calls a function by address, with constants relative to the pc, a load of
// what lies beside the code, floating point that needs constants of the translator, kernels, and a
// constant of eight bytes that is no address.
constexpr uint32_t kEntry[] = {
    0xd2800000,  // mov x0, #0x0
    0xd2800141,  // mov x1, #0xa
    0x90000002,  // adrp x2, 0
    0x10002003,  // adr x3, 40c
    0x9400003c,  // bl 100
    0x58000784,  // ldr x4, 104
    0x8b040000,  // add x0, x0, x4
    0xf1000421,  // subs x1, x1, #0x1
    0x54ffff81,  // b.ne 10
    0x1e620100,  // scvtf d0, w8
    0x1e611800,  // fdiv d0, d0, d1
    0x5e280800,  // sha1h s0, s0
    0xb200c3e7,  // mov x7, #0x101010101010101
    0x140003ff,  // b 1030
};
constexpr uint32_t kLocal[] = {
    // at 0x100
    0x91000c00,  // add x0, x0, #0x3
    0xd65f03c0,  // ret
};
constexpr uint32_t kFar[] = {
    // at 0x1030
    0xeb00001f,  // cmp x0, x0
    0x9a9f17e5,  // cset x5, eq
    0x10000006,  // adr x6, 1038
    0xd4000001,  // svc #0x0
};
constexpr uint32_t kMovX5Two = 0xd2800045;

uint8_t* Code() {
  auto* code = static_cast<uint8_t*>(Map(kBytes));
  Expect(code != nullptr, "memory for code");
  memcpy(code, kEntry, sizeof kEntry);
  memcpy(code + 0x100, kLocal, sizeof kLocal);
  memcpy(code + 0x1030, kFar, sizeof kFar);
  code_begin = reinterpret_cast<uint64_t>(code);
  code_end = code_begin + kBytes;
  return code;
}

State RunFrom(Translator* t, const uint8_t* pc) {
  State state;
  memset(&state, 0, sizeof state);
  state.exclusive_addr = dd::ir::kNoExclusive;
  state.pc = reinterpret_cast<uint64_t>(pc);
  Exit exit;
  do {
    exit = dd::exec::Run(t, &state);
  } while (exit.kind == ExitKind::kInterrupt);
  Expect(exit.kind == ExitKind::kSyscall, "the code comes to its call");
  return state;
}

Translator* MakeTranslator() {
  Translator* t = dd::exec::Make(kHost, dd::exec::kCacheBytes, dd::lower::a64::LowerBlock);
  Expect(t != nullptr, "a translator can be made");
  return t;
}

// Equal but for what is an address: those are as far from the beginning of the code.
void ExpectSame(const State& a, uint64_t a_begin, const State& b, uint64_t b_begin) {
  for (uint32_t i = 0; i < 32; i++) {
    const bool address = i == 2 || i == 3 || i == 6 || i == 30;
    const uint64_t expected = address ? a.g[i] - a_begin : a.g[i];
    const uint64_t found = address ? b.g[i] - b_begin : b.g[i];
    Expect(expected == found, "general registers are the same");
  }
  Expect(memcmp(a.v, b.v, sizeof a.v) == 0, "vector registers are the same");
  Expect(a.pc - a_begin == b.pc - b_begin, "so is the pc");
  constexpr uint32_t kFlags = dd::ir::kFlagN | dd::ir::kFlagZ | dd::ir::kFlagC | dd::ir::kFlagV;
  Expect((a.flags & kFlags) == (b.flags & kFlags) && a.fpsr == b.fpsr, "and the flags");
}

std::vector<uint8_t> RecordOf(const uint8_t* code, Translator* t) {
  const auto* fresh = const_cast<dd::exec::Fresh*>(dd::exec::FreshOf(t));
  std::vector<uint32_t> pcs;
  for (uint64_t i = 0; i < fresh->count; i++) {
    pcs.push_back(
        static_cast<uint32_t>(const_cast<dd::exec::Fresh*>(fresh)->pcs()[i] - code_begin));
  }
  Expect(pcs.size() >= 4, "regions are translated");
  dd::exec::Source source = {};
  source.bytes = code;
  source.size = kBytes;
  source.pcs = pcs.data();
  source.pc_count = static_cast<uint32_t>(pcs.size());
  Translator* recorder = dd::exec::MakeRecorder(kRecording, dd::lower::a64::LowerBlock);
  Expect(recorder != nullptr, "a recorder can be made");
  std::vector<uint8_t> store(size_t{1} << 20);
  const size_t bytes = dd::exec::Record(recorder, source, store.data(), store.size());
  Expect(bytes > sizeof(dd::exec::StoredHeader) && bytes < store.size(), "it is stored");
  store.resize(bytes);
  return store;
}

const dd::exec::StoredHeader* HeaderOf(const std::vector<uint8_t>& store) {
  return reinterpret_cast<const dd::exec::StoredHeader*>(store.data());
}

void Lend(Translator* t, const std::vector<uint8_t>& store) {
  dd::exec::Lend(t, code_begin, code_end, 0, HeaderOf(store));
}

bool Few(const Translator* t) {
  const uint64_t count = dd::exec::FreshOf(t)->count;
  return count >= 1 && count <= 2;
}

void CheckStored() {
  const uint8_t* first_code = Code();
  const uint64_t first_begin = code_begin;
  Translator* first = MakeTranslator();
  const State expected = RunFrom(first, first_code);
  Expect(expected.g[5] == 1, "the comparison has its result");
  const std::vector<uint8_t> store = RecordOf(first_code, first);
  const std::vector<uint8_t> again = RecordOf(first_code, first);
  Expect(store == again, "the same bytes and places make the same record");

  // Elsewhere, with nothing to translate.
  uint8_t* code = Code();
  Expect(code_begin != first_begin, "elsewhere");
  Translator* second = MakeTranslator();
  Lend(second, store);
  ExpectSame(expected, first_begin, RunFrom(second, code), code_begin);
  Expect(dd::exec::FreshOf(second)->count == 0, "nothing is translated a second time");

  // The guest changes what has been taken over.
  const uint32_t changed = kMovX5Two;
  memcpy(code + 0x1034, &changed, sizeof changed);
  dd::exec::Invalidate(second, code_begin + 0x1000, code_begin + 0x2000);
  Expect(RunFrom(second, code).g[5] == 2, "changed code does what it says now");
  // And what had looked at it.
  Expect(Few(second), "what has changed is translated, the rest is not");

  // It was changed before anything was taken over.
  uint8_t* other = Code();
  memcpy(other + 0x1034, &changed, sizeof changed);
  Translator* third = MakeTranslator();
  Lend(third, store);
  Expect(RunFrom(third, other).g[5] == 2, "other bytes are not taken for what was stored");
  Expect(Few(third), "and only they are translated");

  // A fork has what there was, and is asked for its own only.
  dd::exec::BeforeFork(third);
  dd::exec::AfterFork(third, true);
  Expect(dd::exec::FreshOf(third)->count == 0, "a child has translated nothing yet");

  // Nothing but the file's own addresses is looked up.
  uint8_t* beside = Code();
  Translator* fourth = MakeTranslator();
  dd::exec::Lend(fourth, code_begin + kBytes, code_begin + 2 * kBytes, 0, HeaderOf(store));
  RunFrom(fourth, beside);
  Expect(dd::exec::FreshOf(fourth)->count >= 4, "code that is not of the file is translated");
}

// Places that make no sense, as a guest may name them.
void CheckHostilePlaces() {
  std::vector<uint8_t> bytes(kBytes);
  dd::test::Random random(7);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.Next());
  std::vector<uint32_t> pcs = {0xffffffff, 0xfffffffc, kBytes, kBytes - 4, kBytes - 2, 1, 0, 0, 4};
  for (int i = 0; i < 2000; i++) pcs.push_back(static_cast<uint32_t>(random.Next()) % kBytes);
  dd::exec::Source source = {};
  source.bytes = bytes.data();
  source.size = bytes.size();
  source.pcs = pcs.data();
  source.pc_count = static_cast<uint32_t>(pcs.size());
  for (const size_t room : {size_t{1} << 24, size_t{1} << 16, size_t{20000}, size_t{100}}) {
    Translator* recorder = dd::exec::MakeRecorder(kRecording, dd::lower::a64::LowerBlock);
    std::vector<uint8_t> store(room + 1, 0xee);
    const size_t made = dd::exec::Record(recorder, source, store.data(), room);
    Expect(made <= room && store[room] == 0xee, "what is stored fits");
    if (made == 0) continue;
    uint32_t last = 0;
    const auto* header = HeaderOf(store);
    for (uint32_t i = 0; i < header->region_count; i++) {
      const auto* place =
          reinterpret_cast<const dd::exec::StoredPlace*>(store.data() + header->index) + i;
      Expect(place->pc >= last, "places are in order");
      Expect(place->at < made, "regions lie in what is stored");
      last = place->pc;
    }
  }
}

}  // namespace

int main() {
  CheckStored();
  CheckHostilePlaces();
  return 0;
}
