// The memory of one translator, in one mapping: code, which is executable or writable, never both;
// and behind it, never executable, what describes it. One mapping, so that code reaches its data by
// 32-bit displacements.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guest/exec/stored.h"
#include "guest/exec/translator.h"
#include "guest/select/x64/select.h"

namespace dd::exec {

using select::x64::Entry;
using select::x64::FaultPoint;

// Code made from a region of the guest.
struct Translation {
  uint64_t code;  // host address
  uint32_t code_bytes;
  uint32_t point_count;
  uint64_t pc;
  uint64_t low, high;  // guest bytes it was made of lie in between
  Entry* entry;
  const FaultPoint* points;
  const select::x64::Homes* homes;
};

// That a translation was made from bytes of a guest page, or relies on what is there when the page
// is none of its own.
struct PageUse {
  uint64_t page;
  uint32_t translation;
  uint32_t next;  // in the bucket; 0 is none
};

constexpr uint32_t kPageBits = 12;
constexpr uint64_t kPageBytes = uint64_t{1} << kPageBits;
constexpr uint32_t kPageBuckets = 1u << 14;
constexpr uint32_t kBatch = 4;  // translations that become executable together
constexpr size_t kRoutineBytes = 4096;
constexpr size_t kFormerBytes = 16384;
constexpr size_t kPeekArenaBytes = 32768;
constexpr uint32_t kPeekedPages = 16;

// Files whose translations there are, and what the guest has mapped of them; more of that replaces
// the oldest.
constexpr uint32_t kStoredLimit = 128;
constexpr uint32_t kLoanLimit = 128;
enum class PageKnown : uint8_t { kNo, kSame };
struct Loan {
  uint64_t begin, end;  // 0: none
  uint64_t base;        // guest address of the file's first byte
  const StoredHeader* stored;
  uint32_t* entries;  // of the file's targets: number + 1, or 0 as long as nobody has asked
  PageKnown* pages;   // of the file's pages, since the guest has changed something here
  size_t room;        // behind `entries`, for both
  uint32_t batch;     // how many are to be taken over next
};

// What is remembered of flags wanted at an entry, from the bytes of its page.
enum class FlagsKnown : uint8_t { kNo, kWanted, kUnwanted };

// A thread inside of Run.
struct Runner {
  ir::State* state;
  uint32_t in_code;  // may be inside of code: it may not be thrown away
  Runner* next;
  Runner** previous;
};

struct Translator {
  HostServices host;
  LowerBlock lower;
  uint32_t lock;
  uint32_t reset_pending;
  bool stale;  // all there is was made for another environment
  Runner* runners;

  uint8_t* code_begin;  // routines, then translations
  uint8_t* code_end;
  uint8_t* code_at;
  uint8_t* code_populated;  // up to here pages are there
  uint64_t enter;           // routine: rdi State, rsi host address; returns Left
  uint64_t first_translation;

  // Arrays of fixed size behind the code.
  select::x64::Dispatch* dispatch;
  Entry* entries;           // behind `dispatch`
  FlagsKnown* flags_known;  // of each entry
  bool any_flags_known;
  uint32_t entry_count, entry_limit;
  uint32_t* entry_index;  // open addressing, 2 * entry_limit rounded up; number + 1
  uint32_t entry_index_mask;
  Translation* translations;  // by ascending code address; 1.. are used
  uint32_t translation_count, translation_limit;
  uint8_t* data_begin;  // fault points, and homes
  uint8_t* data_at;
  uint8_t* data_end;
  uint8_t* data_populated;
  const select::x64::Homes* homes;  // of the last translation that was made; null: none
  uint32_t* page_buckets;
  PageUse* page_uses;  // 1.. are used
  uint32_t page_use_count, page_use_limit;

  select::x64::ConstantPool* constants;
  select::x64::Environment environment;
  select::x64::Workspace* workspace;
  void* former;                         // kFormerBytes
  void* peek_arena;                     // kPeekArenaBytes
  uint64_t peeked_pages[kPeekedPages];  // that the region at hand relies on
  uint32_t peeked_count;
  uint32_t made_first;  // translations that are not executable yet: from this one on
  uint32_t made_count;
  void* arena;
  size_t arena_bytes;
  uint8_t* window;  // guest bytes of a page
  const StoredHeader* stored[kStoredLimit];
  Loan loans[kLoanLimit];
  uint32_t loan_count;  // places that were ever used
  uint32_t loan_next;
  Fresh* fresh;  // translation_limit addresses
};

// Takes and releases the lock. Threads in generated code never hold it.
void Lock(Translator* t);
void Unlock(Translator* t);

// All with the lock held.
Entry* FindEntry(const Translator* t, uint64_t pc);  // null: there is none
Entry* EntryOf(Translator* t, uint64_t pc);          // null: no room
// Whether there is one of the region at `pc`.
bool IsTranslated(const Translator* t, uint64_t pc);
// What is to become a translation.
struct Draft {
  uint64_t pc;
  Entry* entry;
  uint64_t base;  // where the code is to lie
  uint64_t low, high;
  const uint8_t* code;
  uint32_t code_bytes;
  uint32_t point_count;
  // Stay where they are.
  const FaultPoint* points;
  const select::x64::Homes* homes;
  bool reads_status, floats, needs_sha;  // as Generated has them
};
enum class Outcome : uint8_t { kDone, kNothing, kNoRoom };
struct FormedRegion;

// Makes code of the region at `pc`, to lie behind what there is.
Outcome Generate(Translator* t, uint64_t pc, FormedRegion* formed, Draft* draft,
                 uint32_t* reference_count = nullptr);
// Puts it there, but for the entry: code, and what describes it. False: no room.
bool Append(Translator* t, const Draft& draft);
// Appends the region at `pc`, and what was made after it, from what is stored. kNothing: it is not
// there, or not made of what the guest has there now.
Outcome Install(Translator* t, uint64_t pc);
// What the guest has mapped at `pc` of a file whose translations there are; null: nothing.
Loan* LoanAt(Translator* t, uint64_t pc);
// There are no entries any more.
void ForgetEntries(Translator* t);
// The guest may have changed [begin, end).
void ForgetPages(Translator* t, uint64_t begin, uint64_t end);

// The translation of the region at `pc`, made if need be. 0: nothing can be fetched there;
// `no_room`: the cache is full.
uint64_t Translate(Translator* t, uint64_t pc, bool* no_room);
// Forgets everything; no thread is in code.
void Reset(Translator* t);
// The same of one whose memory is all 0, as it comes.
void BeginEmpty(Translator* t);

// Whether code at `pc` may read flags that were set before it; `context` is the Translator.
bool FlagsWanted(void* context, uint64_t pc);
// Pages that somebody has relied on have changed.
void ForgetFlags(Translator* t);

// make.cc: translates without some techniques from now on; before anything is translated, by who
// measures them. False: the host refuses.
bool LeaveOut(Translator* t, select::Without without);

// routines.cc: emits what translations and Run share, at the beginning of the code.
void EmitRoutines(Translator* t);

}  // namespace dd::exec
