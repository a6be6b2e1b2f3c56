#include "guest/hosted/forks.h"

#include <link.h>
#include <sys/mman.h>

#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace dd::hosted {
namespace {

struct Range {
  uint64_t begin;
  uint64_t end;
};

// The addresses of everything that the dynamic linker has loaded.
std::vector<Range> LoadedObjects() {
  std::vector<Range> found;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        for (int i = 0; i < info->dlpi_phnum; i++) {
          const ElfW(Phdr)& segment = info->dlpi_phdr[i];
          if (segment.p_type != PT_LOAD) continue;
          const uint64_t begin = info->dlpi_addr + segment.p_vaddr;
          static_cast<std::vector<Range>*>(data)->push_back({begin, begin + segment.p_memsz});
        }
        return 0;
      },
      &found);
  return found;
}

}  // namespace

void KeepOutOfForks() {
  const std::vector<Range> objects = LoadedObjects();
  std::FILE* maps = std::fopen("/proc/self/maps", "re");
  if (maps == nullptr) return;
  char line[512];
  while (std::fgets(line, sizeof line, maps) != nullptr) {
    Range range{};
    char access[5] = {};
    if (std::sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &range.begin, &range.end, access) != 3) {
      continue;
    }
    if (access[1] != 'w' || access[3] != 'p') continue;
    const bool loaded = std::any_of(objects.begin(), objects.end(), [&](const Range& object) {
      return object.begin < range.end && range.begin < object.end;
    });
    if (!loaded)
      madvise(reinterpret_cast<void*>(range.begin), range.end - range.begin, MADV_DONTFORK);
  }
  std::fclose(maps);
}

}  // namespace dd::hosted
