// The image is written down here, word by word: making it takes no assembler for arm64. Names,
// versions and the lack of unwind information for the trampoline are arch/arm64/kernel/vdso's:
// unwinders know it by its two instructions, and find all registers in the frame.
#include "guest/translated/arm64/vdso.h"

#include <elf.h>

namespace dd::translated::arm64 {
namespace {

constexpr size_t kPageBytes = 4096;

// Clocks are registers of this processor, in the space that is the implementation's: nanoseconds of
// clock 0 (CLOCK_REALTIME) and 1 (CLOCK_MONOTONIC), negative when the runtime does not know them.
constexpr uint32_t kCode[] = {
    // __kernel_clock_gettime(clockid, timespec)
    0x7100041f,  // cmp w0, #1
    0x54000080,  // b.eq monotonic
    0x35000180,  // cbnz w0, call
    0xd53bf002,  // mrs x2, s3_3_c15_c0_0
    0x14000002,  // b split
    0xd53bf022,  // monotonic: mrs x2, s3_3_c15_c0_1
    0xb7f80102,  // split: tbnz x2, #63, call
    0xd2994004,  // mov x4, #0xca00
    0xf2a77344,  // movk x4, #0x3b9a, lsl #16 (10^9)
    0x9ac40843,  // udiv x3, x2, x4
    0x9b048862,  // msub x2, x3, x4, x2
    0xa9000823,  // stp x3, x2, [x1]
    0x52800000,  // mov w0, #0
    0xd65f03c0,  // ret
    0xd2800e28,  // call: mov x8, #113
    0xd4000001,  // svc #0
    0xd65f03c0,  // ret
    // __kernel_gettimeofday(timeval, timezone)
    0xd53bf002,  // mrs x2, s3_3_c15_c0_0
    0xb7f801a2,  // tbnz x2, #63, call
    0xb4000100,  // cbz x0, zone
    0xd2994004,  // mov x4, #0xca00
    0xf2a77344,  // movk x4, #0x3b9a, lsl #16
    0x9ac40843,  // udiv x3, x2, x4
    0x9b048862,  // msub x2, x3, x4, x2
    0xd2807d04,  // mov x4, #1000
    0x9ac40842,  // udiv x2, x2, x4
    0xa9000803,  // stp x3, x2, [x0]
    0xb4000041,  // zone: cbz x1, done
    0xf900003f,  // str xzr, [x1]
    0x52800000,  // done: mov w0, #0
    0xd65f03c0,  // ret
    0xd2801528,  // call: mov x8, #169
    0xd4000001,  // svc #0
    0xd65f03c0,  // ret
    // __kernel_clock_getres(clockid, timespec)
    0xd2800e48,  // mov x8, #114
    0xd4000001,  // svc #0
    0xd65f03c0,  // ret
    // Unwinders look for what is before a return address.
    0xd503201f,  // nop
    // __kernel_rt_sigreturn
    0xd2801168,  // mov x8, #139
    0xd4000001,  // svc #0
};

// What there is in it: where in kCode, how many words.
struct Function {
  const char* name;
  uint32_t first, count;
};
constexpr Function kFunctions[] = {
    {"__kernel_clock_gettime", 0, 17},
    {"__kernel_gettimeofday", 17, 17},
    {"__kernel_clock_getres", 34, 3},
    {"__kernel_rt_sigreturn", 38, 2},
};
constexpr uint32_t kFunctionCount = sizeof kFunctions / sizeof *kFunctions;
// Those that keep the stack and the link register as they are, from the first word on.
constexpr uint32_t kLeafWords = 37;
static_assert(kFunctions[3].first + kFunctions[3].count == sizeof kCode / sizeof *kCode);

constexpr char kSoname[] = "linux-vdso.so.1";
constexpr char kVersion[] = "LINUX_2.6.39";
constexpr uint16_t kVersionIndex = 2;

// The System V hash of version names: the ELF specification, "Hash Table".
constexpr uint32_t ElfHash(const char* name) {
  uint32_t hash = 0;
  for (; *name != 0; name++) {
    hash = (hash << 4) + static_cast<uint8_t>(*name);
    const uint32_t high = hash & 0xf0000000;
    hash = (hash ^ high >> 24) & ~high;
  }
  return hash;
}

struct VersionDefinition {
  Elf64_Verdef head;
  Elf64_Verdaux name;
};

// Call frame information of the leaves: the frame is the stack pointer, the return address is in
// x30. DWARF 5, 6.4; the Linux Standard Base's .eh_frame.
struct FrameInformation {
  uint32_t cie_bytes, cie_id;
  uint8_t version;
  char augmentation[3];  // zR: how addresses are written
  uint8_t code_align, data_align, return_register, augmentation_bytes, encoding;
  uint8_t cfa[3];  // DW_CFA_def_cfa x31, 0
  uint32_t fde_bytes, cie_pointer;
  int32_t begin;
  uint32_t count;
  uint8_t fde_augmentation_bytes, padding[3];
  uint32_t end;
};
static_assert(offsetof(FrameInformation, fde_bytes) == 20 && sizeof(FrameInformation) == 44);

struct FrameHeader {
  uint8_t version, frame_encoding, count_encoding, table_encoding;
  int32_t frame;
  uint32_t count;
  int32_t begin, fde;
};

struct Image {
  Elf64_Ehdr header;
  Elf64_Phdr segments[3];
  uint32_t hash[3 + 1 + kFunctionCount];  // one bucket: all symbols are a chain
  Elf64_Sym symbols[1 + kFunctionCount];
  uint16_t versions[1 + kFunctionCount];
  alignas(8) VersionDefinition definitions[2];
  char strings[160];
  FrameHeader frame_header;
  FrameInformation frames;
  alignas(16) uint32_t code[sizeof kCode / sizeof *kCode];
  alignas(16) Elf64_Dyn dynamic[10];
};
static_assert(sizeof(Image) <= kPageBytes);

class Strings {
 public:
  explicit constexpr Strings(Image* image) : image_(image) {}
  constexpr uint32_t Add(const char* text) {
    const uint32_t at = used_;
    for (; *text != 0; text++) image_->strings[used_++] = *text;
    used_++;
    return at;
  }

 private:
  Image* image_;
  uint32_t used_ = 1;
};

constexpr VersionDefinition Definition(uint16_t index, uint16_t flags, const char* name,
                                       uint32_t at, bool last) {
  VersionDefinition definition{};
  definition.head.vd_version = VER_DEF_CURRENT;
  definition.head.vd_flags = flags;
  definition.head.vd_ndx = index;
  definition.head.vd_cnt = 1;
  definition.head.vd_hash = ElfHash(name);
  definition.head.vd_aux = sizeof(Elf64_Verdef);
  definition.head.vd_next = last ? 0 : sizeof(VersionDefinition);
  definition.name.vda_name = at;
  return definition;
}

constexpr Elf64_Phdr Segment(uint32_t type, uint32_t flags, size_t at, size_t bytes,
                             size_t alignment) {
  Elf64_Phdr segment{};
  segment.p_type = type;
  segment.p_flags = flags;
  segment.p_offset = segment.p_vaddr = segment.p_paddr = at;
  segment.p_filesz = segment.p_memsz = bytes;
  segment.p_align = alignment;
  return segment;
}

constexpr int32_t Distance(size_t from, size_t to) {
  return static_cast<int32_t>(to) - static_cast<int32_t>(from);
}

consteval Image Make() {
  Image image{};
  Elf64_Ehdr& header = image.header;
  constexpr uint8_t kIdent[] = {ELFMAG0,    ELFMAG1,     ELFMAG2,    ELFMAG3,
                                ELFCLASS64, ELFDATA2LSB, EV_CURRENT, ELFOSABI_NONE};
  for (size_t i = 0; i < sizeof kIdent; i++) header.e_ident[i] = kIdent[i];
  header.e_type = ET_DYN;
  header.e_machine = EM_AARCH64;
  header.e_version = EV_CURRENT;
  header.e_phoff = offsetof(Image, segments);
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = sizeof image.segments / sizeof *image.segments;
  image.segments[0] = Segment(PT_LOAD, PF_R | PF_X, 0, sizeof(Image), kPageBytes);
  image.segments[1] = Segment(PT_DYNAMIC, PF_R, offsetof(Image, dynamic), sizeof image.dynamic, 8);
  image.segments[2] =
      Segment(PT_GNU_EH_FRAME, PF_R, offsetof(Image, frame_header), sizeof(FrameHeader), 4);

  Strings strings(&image);
  image.hash[0] = 1;
  image.hash[1] = 1 + kFunctionCount;
  image.hash[2] = 1;
  for (uint32_t i = 0; i < kFunctionCount; i++) {
    Elf64_Sym& symbol = image.symbols[1 + i];
    symbol.st_name = strings.Add(kFunctions[i].name);
    symbol.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
    symbol.st_shndx = 1;
    symbol.st_value = offsetof(Image, code) + 4 * kFunctions[i].first;
    symbol.st_size = 4 * kFunctions[i].count;
    image.versions[1 + i] = kVersionIndex;
    image.hash[3 + 1 + i] = i + 1 < kFunctionCount ? 2 + i : 0;
  }
  const uint32_t soname = strings.Add(kSoname);
  image.definitions[0] = Definition(1, VER_FLG_BASE, kSoname, soname, false);
  image.definitions[1] = Definition(kVersionIndex, 0, kVersion, strings.Add(kVersion), true);
  for (size_t i = 0; i < sizeof kCode / sizeof *kCode; i++) image.code[i] = kCode[i];

  constexpr uint8_t kRelative4 = 0x1b;    // DW_EH_PE_pcrel | sdata4
  constexpr uint8_t kUnsigned4 = 0x03;    // udata4
  constexpr uint8_t kFromHeader4 = 0x3b;  // datarel | sdata4
  constexpr uint8_t kDefCfa = 0x0c;       // DW_CFA_def_cfa
  constexpr size_t kFrames = offsetof(Image, frames);
  constexpr size_t kFde = kFrames + offsetof(FrameInformation, fde_bytes);
  FrameInformation& frames = image.frames;
  frames.cie_bytes = offsetof(FrameInformation, fde_bytes) - sizeof frames.cie_bytes;
  frames.version = 1;
  frames.augmentation[0] = 'z';
  frames.augmentation[1] = 'R';
  frames.code_align = 4;
  frames.data_align = 0x78;  // -8
  frames.return_register = 30;
  frames.augmentation_bytes = 1;
  frames.encoding = kRelative4;
  frames.cfa[0] = kDefCfa;
  frames.cfa[1] = 31;
  frames.fde_bytes = offsetof(FrameInformation, end) - offsetof(FrameInformation, cie_pointer);
  frames.cie_pointer = offsetof(FrameInformation, cie_pointer);
  frames.begin = Distance(kFrames + offsetof(FrameInformation, begin), offsetof(Image, code));
  frames.count = 4 * kLeafWords;
  FrameHeader& table = image.frame_header;
  table.version = 1;
  table.frame_encoding = kRelative4;
  table.count_encoding = kUnsigned4;
  table.table_encoding = kFromHeader4;
  table.frame = Distance(offsetof(Image, frame_header) + offsetof(FrameHeader, frame), kFrames);
  table.count = 1;
  table.begin = Distance(offsetof(Image, frame_header), offsetof(Image, code));
  table.fde = Distance(offsetof(Image, frame_header), kFde);

  const Elf64_Dyn dynamic[] = {
      {DT_SONAME, {soname}},
      {DT_HASH, {offsetof(Image, hash)}},
      {DT_STRTAB, {offsetof(Image, strings)}},
      {DT_SYMTAB, {offsetof(Image, symbols)}},
      {DT_STRSZ, {sizeof image.strings}},
      {DT_SYMENT, {sizeof(Elf64_Sym)}},
      {DT_VERSYM, {offsetof(Image, versions)}},
      {DT_VERDEF, {offsetof(Image, definitions)}},
      {DT_VERDEFNUM, {2}},
      {DT_NULL, {0}},
  };
  static_assert(sizeof dynamic == sizeof image.dynamic);
  for (size_t i = 0; i < sizeof dynamic / sizeof *dynamic; i++) image.dynamic[i] = dynamic[i];
  return image;
}

// Pages of its own.
struct alignas(kPageBytes) Pages {
  Image image;
};
constinit const Pages kPages = {Make()};

}  // namespace

Vdso VdsoOf() {
  const auto begin = reinterpret_cast<uint64_t>(&kPages);
  return {begin, begin + sizeof kPages, begin + offsetof(Image, code) + 4 * kFunctions[3].first};
}

}  // namespace dd::translated::arm64
