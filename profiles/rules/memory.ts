import { DESCRIPTOR_WINDOW, MADV, MAP, MREMAP, PROT } from "../constants.ts";
import { has, hasOnly, int, isBetween, isOneOf, long, type Rule } from "../model.ts";

const prot = long(2, "prot");
const flags = long(3, "flags");
const fd = int(4, "fd");
const pageProtections = Object.values(PROT);
const NO_DESCRIPTOR = { name: "-1", value: 0xffffffff };

/** What an executor may do to its own address space. */
export const memoryRules: readonly Rule[] = [
  {
    name: "map-anonymous",
    why:
      "Guest memory. It touches only the caller's own address space and is bounded by the memory " +
      "limit; huge, locked and growing mappings are left out.",
    calls: [
      {
        call: "mmap",
        when: [
          hasOnly(prot, pageProtections),
          has(flags, [MAP.MAP_ANONYMOUS]),
          hasOnly(flags, Object.values(MAP)),
          isOneOf(fd, [NO_DESCRIPTOR]),
        ],
      },
    ],
  },
  {
    name: "map-donated-file",
    why:
      "Programs and file mappings. Only descriptors inside the window, and the sentry puts nothing " +
      "there but regular files whose full power the guest already has.",
    calls: [
      {
        call: "mmap",
        when: [
          hasOnly(prot, pageProtections),
          hasOnly(flags, [
            MAP.MAP_SHARED,
            MAP.MAP_PRIVATE,
            MAP.MAP_FIXED,
            MAP.MAP_NORESERVE,
            MAP.MAP_FIXED_NOREPLACE,
          ]),
          isBetween(fd, DESCRIPTOR_WINDOW.first, DESCRIPTOR_WINDOW.last),
        ],
      },
    ],
  },
  {
    name: "unmap",
    why: "Guest memory is given back; only the caller's own address space.",
    calls: [{ call: "munmap", when: [] }],
  },
  {
    name: "protect",
    why:
      "Guest memory and call-site patching; only the caller's own address space, without protection " +
      "keys or growing stacks.",
    calls: [{ call: "mprotect", when: [hasOnly(prot, pageProtections)] }],
  },
  {
    name: "remap",
    why: "Guest mremap; only the caller's own address space.",
    calls: [{ call: "mremap", when: [hasOnly(long(3, "flags"), Object.values(MREMAP))] }],
  },
  {
    name: "advise",
    why:
      "Memory is given back early, and ring pages are kept out of a forked child. Advice that " +
      "merges, poisons or populates pages, and undoing DONTFORK, are left out.",
    calls: [{ call: "madvise", when: [isOneOf(int(2, "advice"), Object.values(MADV))] }],
  },
];
