// How fast guest code is translated: all functions of a static arm64 program and everything that
// they lead to, none of which is run. Prints how much guest code there is, then a line a round:
// megabytes translated per second of CPU time. A byte counts as often as it is translated: regions
// share code that they lead to. At the end of the line each byte counts once.
//
//   translation-speed PROGRAM [ROUNDS]
//
// Code that only indirect branches reach is found as what is left over, by address.
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "guest/exec/cache.h"
#include "guest/lower/a64/lower.h"

namespace {

constexpr size_t kCacheBytes = size_t{256} << 20;
constexpr int kDefaultRounds = 5;

[[noreturn]] void Fail(const char* what) {
  perror(what);
  exit(1);
}

struct Text {
  const uint8_t* bytes;
  uint64_t begin, end;
};
Text text;
std::vector<bool> lowered;  // by instruction
size_t looked_at;           // bytes, with repetitions
size_t translated;          // of these, what became code: regions share what they lead to

void* cache;
void* Map(size_t bytes) {
  cache = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
               -1, 0);
  return cache == MAP_FAILED ? nullptr : cache;
}
bool Protect(void* at, size_t bytes, bool executable) {
  return mprotect(at, bytes, PROT_READ | (executable ? PROT_EXEC : PROT_WRITE)) == 0;
}
void Populate(void* at, size_t bytes) { madvise(at, bytes, MADV_POPULATE_WRITE); }
size_t Fetch(void* to, uint64_t pc, size_t limit) {
  if (pc < text.begin || pc >= text.end) return 0;
  const size_t bytes = std::min<size_t>(limit, text.end - pc);
  memcpy(to, text.bytes + (pc - text.begin), bytes);
  return bytes;
}
void Yield() {}

// Maps the program's code, and says where its functions begin.
std::vector<uint64_t> Load(const char* path) {
  const int fd = open(path, O_RDONLY);
  if (fd < 0) Fail(path);
  const off_t size = lseek(fd, 0, SEEK_END);
  auto* file = static_cast<uint8_t*>(
      mmap(nullptr, static_cast<size_t>(size), PROT_READ, MAP_PRIVATE, fd, 0));
  if (file == MAP_FAILED) Fail(path);
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(file);
  if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_machine != EM_AARCH64) {
    fprintf(stderr, "%s: not an arm64 program\n", path);
    exit(1);
  }
  std::vector<uint64_t> functions;
  const auto* sections = reinterpret_cast<const Elf64_Shdr*>(file + header->e_shoff);
  for (int i = 0; i < header->e_shnum; i++) {
    const Elf64_Shdr& section = sections[i];
    constexpr uint64_t kCode = SHF_ALLOC | SHF_EXECINSTR;
    if ((section.sh_flags & kCode) == kCode && section.sh_size > text.end - text.begin) {
      text = {file + section.sh_offset, section.sh_addr, section.sh_addr + section.sh_size};
    }
    if (section.sh_type != SHT_SYMTAB) continue;
    const auto* symbols = reinterpret_cast<const Elf64_Sym*>(file + section.sh_offset);
    for (size_t n = 0; n < section.sh_size / sizeof(Elf64_Sym); n++) {
      if (ELF64_ST_TYPE(symbols[n].st_info) == STT_FUNC && symbols[n].st_size != 0) {
        functions.push_back(symbols[n].st_value);
      }
    }
  }
  std::sort(functions.begin(), functions.end());
  return functions;
}

size_t LowerAndMark(const uint8_t* bytes, size_t size, uint64_t pc, dd::ir::Arena* arena,
                    dd::ir::Block* block) {
  const size_t used = dd::lower::a64::LowerBlock(bytes, size, pc, arena, block);
  for (size_t at = 0; at < used; at += 4) lowered[(pc - text.begin + at) / 4] = true;
  looked_at += used;
  if (arena->room() >= dd::exec::kPeekArenaBytes) translated += used;
  return used;
}

uint64_t Nanoseconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

class Translating {
 public:
  explicit Translating(dd::exec::LowerBlock lower)
      : t_(dd::exec::Make({Map, Protect, Fetch, Yield, Populate}, kCacheBytes, lower)) {
    if (t_ == nullptr) Fail("translator");
  }
  Translating(const Translating&) = delete;
  Translating& operator=(const Translating&) = delete;
  ~Translating() { munmap(cache, kCacheBytes); }

  // What is at `pc`, and all that this leads to.
  void From(uint64_t pc) {
    Translate(pc);
    while (looked_at_ < t_->entry_count) Translate(t_->entries[looked_at_++].pc);
  }
  const dd::exec::Translator& translator() const { return *t_; }

 private:
  void Translate(uint64_t pc) {
    bool no_room;
    dd::exec::Translate(t_, pc, &no_room);
    if (!no_room) return;
    fprintf(stderr, "the cache is full\n");
    exit(1);
  }

  dd::exec::Translator* t_;
  uint32_t looked_at_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: translation-speed PROGRAM [ROUNDS]\n");
    return 1;
  }
  std::vector<uint64_t> begins = Load(argv[1]);
  const int rounds = argc > 2 ? atoi(argv[2]) : kDefaultRounds;
  lowered.resize((text.end - text.begin) / 4);
  {
    Translating all(LowerAndMark);
    for (const uint64_t begin : begins) all.From(begin);
    for (size_t i = 0; i < lowered.size(); i++) {
      if (lowered[i]) continue;
      begins.push_back(text.begin + 4 * i);
      all.From(begins.back());
    }
  }
  const double text_bytes = 4.0 * static_cast<double>(lowered.size());
  const auto translated_bytes = static_cast<double>(translated);
  printf("%.0f bytes of code, translated %.2f times, looked at %.2f times\n", text_bytes,
         translated_bytes / text_bytes, static_cast<double>(looked_at) / text_bytes);
  for (int round = 0; round < rounds; round++) {
    const uint64_t start = Nanoseconds();
    Translating all(dd::lower::a64::LowerBlock);
    for (const uint64_t begin : begins) all.From(begin);
    const double seconds = static_cast<double>(Nanoseconds() - start) / 1e9;
    const dd::exec::Translator& t = all.translator();
    printf("%.1f MB/s: %u regions, %zu bytes of host code, %.1f ms; %.1f MB/s of the program\n",
           translated_bytes / seconds / 1e6, t.translation_count - 1,
           static_cast<size_t>(t.code_at - t.code_begin), seconds * 1e3,
           text_bytes / seconds / 1e6);
  }
  return 0;
}
