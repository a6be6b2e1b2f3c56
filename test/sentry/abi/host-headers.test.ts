import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { NUMBERS } from "../../../sentry/abi/numbers.ts";
import * as processStructs from "../../../sentry/abi/process-structs.ts";
import * as structs from "../../../sentry/abi/structs.ts";

/** Macros that are no calls. */
const MARKS: ReadonlySet<string> = new Set(["syscalls", "arch_specific_syscall"]);

/** The macros `__NR_name` of a header, as the compiler sees them. */
function callsOf(header: string, ...options: string[]): Map<string, number> {
  const macros = execFileSync("cc", ["-E", "-dM", ...options, "-"], {
    input: `#include <${header}>\n`,
    encoding: "utf8",
  });
  const values = new Map(
    [...macros.matchAll(/^#define (__NR\w*) (\w+)$/gm)].map(([, name, value]) => [name, value]),
  );
  const calls = new Map<string, number>();
  for (const [macro, text] of values) {
    const name = /^__NR_(\w+)$/.exec(macro ?? "")?.[1];
    // Some names stand for others, which differ for 32 bits.
    const value = Number(values.get(text) ?? text);
    if (name !== undefined && !MARKS.has(name) && Number.isInteger(value)) calls.set(name, value);
  }
  return calls;
}

/** What asm-generic/unistd.h gives an instruction set that has never had the older calls: arm64. */
const GENERIC = ["RENAMEAT", "NEW_STAT", "SET_GET_RLIMIT", "SYS_CLONE3", "MEMFD_SECRET"];

for (const [column, isa, header, options] of [
  [0, "x86_64", "asm/unistd_64.h", []],
  [1, "arm64", "asm-generic/unistd.h", GENERIC.map((name) => `-D__ARCH_WANT_${name}`)],
] as const) {
  test(`numbers of system calls are those of the host's headers, ${isa}`, (t) => {
    const theirs = callsOf(header, ...options);
    t.true(theirs.size > 250);
    const newest = Math.max(...theirs.values());
    for (const [name, numbers] of Object.entries(NUMBERS)) {
      const number = numbers[column];
      // Our table may know calls that are newer than the headers.
      if (number > newest || number < 0) t.false(theirs.has(name), name);
      else t.is(theirs.get(name), number, name);
    }
    for (const name of theirs.keys()) t.true(name in NUMBERS, name);
  });
}

/** A structure's name in C, and ours. Members whose names C derives by a prefix are found by it. */
interface Row {
  readonly c: string;
  readonly ours: { readonly size: number; readonly offsets: Readonly<Record<string, number>> };
  readonly prefix?: string;
  /** Names that the prefix does not give; null for what has no name of its own in C. */
  /** Ours ends where the structure did when it was first published. */
  readonly grown?: boolean;
  readonly names?: Readonly<Record<string, string | null>>;
}

const S = structs;
const P = processStructs;
const ROWS: readonly Row[] = [
  { c: "struct __kernel_timespec", ours: S.Timespec, prefix: "tv_" },
  { c: "struct timeval", ours: S.Timeval, prefix: "tv_" },
  { c: "struct __kernel_itimerspec", ours: S.Itimerspec, prefix: "it_" },
  { c: "struct itimerval", ours: S.Itimerval, prefix: "it_" },
  { c: "struct iovec", ours: S.Iovec, prefix: "iov_" },
  { c: "struct pollfd", ours: S.Pollfd },
  { c: "struct rlimit64", ours: S.Rlimit, prefix: "rlim_" },
  { c: "struct winsize", ours: S.Winsize, prefix: "ws_" },
  { c: "struct sockaddr_in", ours: S.SockaddrIn, prefix: "sin_", names: { zero: "__pad" } },
  {
    c: "struct sockaddr_in6",
    ours: S.SockaddrIn6,
    prefix: "sin6_",
    names: { scopeId: "sin6_scope_id" },
  },
  {
    c: "struct stat",
    ours: S.StatX86,
    prefix: "st_",
    names: { pad0: "__pad0", unused: "__unused" },
  },
  {
    c: "struct stat_generic",
    ours: S.StatArm64,
    prefix: "st_",
    names: { pad1: "__pad1", pad2: "__pad2", unused: "__unused4" },
  },
  {
    c: "struct statx_timestamp",
    ours: S.StatxTimestamp,
    prefix: "tv_",
    names: { reserved: "__reserved" },
  },
  {
    c: "struct statx",
    ours: S.Statx,
    prefix: "stx_",
    names: {
      spare0: "__spare0",
      attributesMask: "stx_attributes_mask",
      rdevMajor: "stx_rdev_major",
      rdevMinor: "stx_rdev_minor",
      devMajor: "stx_dev_major",
      devMinor: "stx_dev_minor",
      mntId: "stx_mnt_id",
      dioMemAlign: "stx_dio_mem_align",
      dioOffsetAlign: "stx_dio_offset_align",
      spare3: "__spare3",
    },
  },
  { c: "struct termios", ours: S.Termios, prefix: "c_" },
  { c: "struct rusage", ours: P.Rusage, prefix: "ru_" },
  { c: "struct tms", ours: P.Tms, prefix: "tms_" },
  {
    c: "struct clone_args",
    ours: P.CloneArgs,
    names: {
      childTid: "child_tid",
      parentTid: "parent_tid",
      exitSignal: "exit_signal",
      stackSize: "stack_size",
      setTid: "set_tid",
      setTidSize: "set_tid_size",
    },
  },
  { c: "struct sigaction", ours: P.Sigaction, prefix: "sa_" },
  {
    c: "struct sigevent",
    ours: P.Sigevent,
    prefix: "sigev_",
    names: { tid: "_sigev_un._tid", rest: null },
  },
  {
    c: "struct sysinfo",
    ours: P.Sysinfo,
    names: { load1: "loads[0]", load5: "loads[1]", load15: "loads[2]", memUnit: "mem_unit" },
  },
  { c: "struct new_utsname", ours: P.Utsname },
  {
    c: "struct sched_attr",
    ours: P.SchedAttr,
    grown: true,
    prefix: "sched_",
    names: { size: "size" },
  },
  { c: "struct __user_cap_header_struct", ours: P.CapHeader },
  { c: "struct __user_cap_data_struct", ours: P.CapData },
];

const HEADERS = [
  "linux/time.h",
  "linux/time_types.h",
  "linux/uio.h",
  "linux/poll.h",
  "linux/resource.h",
  "linux/in.h",
  "linux/in6.h",
  "linux/stat.h",
  "linux/times.h",
  "linux/sched.h",
  "linux/sched/types.h",
  "linux/sysinfo.h",
  "linux/utsname.h",
  "linux/capability.h",
  "asm/stat.h",
  "asm/signal.h",
  "asm/siginfo.h",
  "asm/termios.h",
];

const memberOf = (row: Row, name: string) => {
  const own = row.names?.[name];
  return own === undefined ? (row.prefix ?? "") + name : own;
};

/** A program that prints each size and offset. The kernel's headers only: the C library has its own ideas. */
function program(): string {
  const lines = ROWS.flatMap((row) => [
    ...(row.grown === true ? [] : [`  printf("${row.c} %zu\\n", sizeof(${row.c}));`]),
    ...Object.keys(row.ours.offsets)
      .map((name) => [name, memberOf(row, name)] as const)
      .filter(([, member]) => member !== null)
      .map(
        ([name, member]) =>
          `  printf("${row.c}.${name} %zu\\n", __builtin_offsetof(${row.c}, ${member}));`,
      ),
  ]);
  return [
    ...HEADERS.map((header) => `#include <${header}>`),
    "#define stat stat_generic",
    "#include <asm-generic/stat.h>",
    "#undef stat",
    "int printf(const char *format, ...);",
    "int main(void) {",
    ...lines,
    "}\n",
  ].join("\n");
}

test("structures are laid out as in the host's headers", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "dd-headers-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(join(directory, "layout.c"), program());
  execFileSync("cc", ["-w", "-o", join(directory, "layout"), join(directory, "layout.c")]);
  const theirs = execFileSync(join(directory, "layout"), { encoding: "utf8" }).trim().split("\n");
  const ours = ROWS.flatMap((row) => [
    ...(row.grown === true ? [] : [`${row.c} ${row.ours.size}`]),
    ...Object.entries(row.ours.offsets)
      .filter(([name]) => memberOf(row, name) !== null)
      .map(([name, offset]) => `${row.c}.${name} ${offset}`),
  ]);
  t.deepEqual(ours, theirs);
  // Whoever declares another one adds its row.
  const declared = [...Object.values(structs), ...Object.values(processStructs)].filter(
    (value) => typeof value === "object",
  );
  t.is(ROWS.length, declared.length);
});
