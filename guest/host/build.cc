#include "guest/host/build.h"

#include <elf.h>
#include <link.h>
#include <string.h>

extern "C" const char __ehdr_start[];  // the linker's

namespace dd::host {

bool BuildOf(uint8_t (&build)[kBuildBytes]) {
  const auto* file = reinterpret_cast<const ElfW(Ehdr)*>(__ehdr_start);
  const auto* header = reinterpret_cast<const ElfW(Phdr)*>(__ehdr_start + file->e_phoff);
  const unsigned long count = file->e_phnum;
  unsigned long bias = 0;
  for (unsigned long i = 0; i < count; i++) {
    if (header[i].p_type == PT_LOAD && header[i].p_offset == 0) {
      bias = reinterpret_cast<unsigned long>(__ehdr_start) - header[i].p_vaddr;
    }
  }
  for (unsigned long i = 0; i < count; i++) {
    if (header[i].p_type != PT_NOTE) continue;
    const auto* at = reinterpret_cast<const unsigned char*>(bias + header[i].p_vaddr);
    const unsigned char* end = at + header[i].p_memsz;
    while (at + sizeof(ElfW(Nhdr)) <= end) {
      const auto* note = reinterpret_cast<const ElfW(Nhdr)*>(at);
      const unsigned char* name = at + sizeof *note;
      const unsigned char* content = name + ((note->n_namesz + 3) & ~3U);
      if (note->n_type == NT_GNU_BUILD_ID && note->n_descsz == kBuildBytes && note->n_namesz == 4 &&
          memcmp(name, "GNU", 4) == 0) {
        memcpy(build, content, kBuildBytes);
        return true;
      }
      at = content + ((note->n_descsz + 3) & ~3U);
    }
  }
  return false;
}

}  // namespace dd::host
