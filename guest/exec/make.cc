// Lays a translator out in its mapping.
#include "guest/exec/cache.h"

namespace dd::exec {
namespace {

constexpr size_t kArenaBytes = size_t{1} << 20;
// Of the mapping: what is code, what describes it.
constexpr size_t kCodeShare = 2;
constexpr size_t kDataShare = 8;
// Average sizes, measured: how much there is to describe of so many bytes of code.
constexpr size_t kCodePerTranslation = 512;
constexpr size_t kCodePerEntry = 128;

bool HostIsCapable() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul") &&
         __builtin_cpu_supports("aes");
}

bool HostHasSha() {
  constexpr uint32_t kExtendedFeatures = 7, kShaBit = 29;
  uint32_t a = kExtendedFeatures, b, c = 0, d;
  asm("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  return (b >> kShaBit & 1) != 0;
}

class Layout {
 public:
  explicit Layout(uint8_t* at) : at_(at) {}
  template <typename T>
  T* Take(size_t count) {
    at_ = reinterpret_cast<uint8_t*>((reinterpret_cast<uint64_t>(at_) + 63) & ~uint64_t{63});
    auto* taken = reinterpret_cast<T*>(at_);
    at_ += count * sizeof(T);
    return taken;
  }
  uint8_t* at() const { return at_; }

 private:
  uint8_t* at_;
};

uint32_t PowerOfTwoOver(size_t n) {
  uint32_t power = 1;
  while (power < n) power <<= 1;
  return power;
}

}  // namespace

Translator* Make(const HostServices& host, size_t cache_bytes, LowerBlock lower) {
  if (!HostIsCapable()) return nullptr;
  const size_t fixed = sizeof(Translator) + select::x64::WorkspaceBytes() + kArenaBytes +
                       sizeof(select::x64::Dispatch) + kPageBuckets * sizeof(uint32_t) +
                       64 * kPageBytes;
  if (cache_bytes < 2 * fixed || cache_bytes > size_t{1} << 30) return nullptr;
  auto* memory = static_cast<uint8_t*>(host.map(cache_bytes));
  if (memory == nullptr) return nullptr;
  const size_t code_bytes = cache_bytes / kCodeShare & ~(kPageBytes - 1);
  Layout layout(memory + code_bytes);
  auto* t = layout.Take<Translator>(1);
  t->host = host;
  t->lower = lower;
  t->code_begin = memory;
  t->code_end = memory + code_bytes;
  t->code_at = memory + kRoutineBytes;
  t->dispatch = layout.Take<select::x64::Dispatch>(1);
  t->dispatch->nothing = {~uint64_t{0}, 0};
  t->constants = layout.Take<select::x64::ConstantPool>(1);
  t->workspace = reinterpret_cast<select::x64::Workspace*>(
      layout.Take<uint8_t>(select::x64::WorkspaceBytes()));
  t->former = layout.Take<uint8_t>(kFormerBytes);
  t->peek_arena = layout.Take<uint8_t>(kPeekArenaBytes);
  t->window = layout.Take<uint8_t>(kPageBytes);
  t->arena_bytes = kArenaBytes;
  t->arena = layout.Take<uint8_t>(kArenaBytes);
  t->entry_limit = static_cast<uint32_t>(code_bytes / kCodePerEntry);
  t->entries = layout.Take<Entry>(t->entry_limit);
  t->flags_known = layout.Take<FlagsKnown>(t->entry_limit);
  const uint32_t index_size = PowerOfTwoOver(size_t{2} * t->entry_limit);
  t->entry_index_mask = index_size - 1;
  t->entry_index = layout.Take<uint32_t>(index_size);
  t->translation_limit = static_cast<uint32_t>(code_bytes / kCodePerTranslation);
  t->translations = layout.Take<Translation>(t->translation_limit);
  t->page_buckets = layout.Take<uint32_t>(kPageBuckets);
  t->page_use_limit = 2 * t->translation_limit;
  t->page_uses = layout.Take<PageUse>(t->page_use_limit);
  t->data_begin = layout.Take<uint8_t>(0);
  t->data_end = memory + cache_bytes;
  t->code_populated = memory;
  t->data_populated =
      reinterpret_cast<uint8_t*>(reinterpret_cast<uint64_t>(t->data_begin) & ~(kPageBytes - 1));
  if (t->data_begin + cache_bytes / kDataShare > t->data_end) return nullptr;
  // Not a part of what code depends on the layout of.
  t->fresh = static_cast<Fresh*>(host.map((t->translation_limit + 1) * sizeof(uint64_t)));
  if (t->fresh == nullptr) return nullptr;
  select::x64::FillConstants(t->constants);
  t->environment.constants = reinterpret_cast<uint64_t>(t->constants);
  t->environment.dispatch = reinterpret_cast<uint64_t>(t->dispatch);
  t->environment.has_sha = HostHasSha();
  EmitRoutines(t);
  BeginEmpty(t);
  if (!host.protect(memory, kRoutineBytes, true)) return nullptr;
  return t;
}

bool LeaveOut(Translator* t, select::Without without) {
  t->environment.without = without;
  if (!t->host.protect(t->code_begin, kRoutineBytes, false)) return false;
  EmitRoutines(t);
  return t->host.protect(t->code_begin, kRoutineBytes, true);
}

}  // namespace dd::exec
