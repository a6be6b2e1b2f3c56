/** What /proc shows of address spaces: the host's word, cut down to what is the guest's. */
import { readFileSync } from "node:fs";
import { ENOMEM, Errno } from "../abi/errno.ts";
import { O_RDONLY } from "../abi/file.ts";
import { type MappingInfo, PAGE_COUNTS, type PageCounts } from "../fs/proc/info.ts";
import { closeFd, openHostPath, readFully } from "../host/fs.ts";
import type { MemoryMap, MemoryUse } from "../kernel/memory-map.ts";
import type { Process } from "../kernel/process.ts";
import type { ExecutorMachine } from "./executor-machine.ts";
import type { GuestRange } from "./owned-ranges.ts";

const PAGE = 4096;
/** Bytes of /proc/PID/pagemap for each page, and how many pages are looked up at once. */
const PAGEMAP_ENTRY = 8;
const PAGEMAP_CHUNK = 1 << 16;
const NO_USE: MemoryUse = { virtual: 0, resident: 0, shared: 0 };
/** What the host maps for every program. */
const HOST_NAMES = new Set(["[vdso]", "[vvar]", "[vvar_vclock]", "[vsyscall]"]);
const PROT_READ = 1;
const PROT_EXEC = 4;
/** What the host calls memory that is shared without a file. */
const SHARED_ANONYMOUS = "/dev/zero (deleted)";

/** One line of the host's /proc/PID/maps, as far as it matters. */
interface HostRow {
  readonly start: number;
  readonly end: number;
  readonly prot: number;
  readonly shared: boolean;
  readonly name: string;
  readonly counts?: PageCounts;
}

/** See {@link MemoryMap}. */
export class HostMemoryMap implements MemoryMap {
  readonly #machine: ExecutorMachine;

  constructor(machine: ExecutorMachine) {
    this.#machine = machine;
  }

  mappings(process: Process, counted = false): readonly MappingInfo[] {
    const executor = this.#machine.executorOf(process);
    if (executor?.pid === undefined) return [];
    const ranges = executor.space.owned.ranges();
    const rows = counted
      ? countedRows(executor.pid)
      : readText(`/proc/${executor.pid}/maps`).split("\n").flatMap(parseRow);
    const shown: MappingInfo[] = [];
    const translated = ranges.some(({ executable }) => executable !== undefined);
    for (const [row, overlaps] of match(rows, ranges)) {
      if (HOST_NAMES.has(row.name) && !translated)
        shown.push({ ...row, offset: 0, dev: 0, ino: 0 });
      else for (const range of overlaps) append(shown, overlap(row, range));
    }
    return translated ? withVdso(shown, this.#machine.auxv.vdso(false)) : shown;
  }

  use(process: Process): MemoryUse {
    const executor = this.#machine.executorOf(process);
    if (executor?.pid === undefined) return NO_USE;
    const ranges = executor.space.owned.ranges();
    const virtual = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
    // A fork of our own process has a part of our memory.
    return executor.attachesByRing
      ? { virtual, ...residentIn(executor.pid, ranges) }
      : { virtual, ...residentOf(executor.pid) };
  }

  resident(process: Process, start: number, pages: number): Uint8Array | Errno {
    const end = start + pages * PAGE;
    let mapped = start;
    for (const row of this.mappings(process)) {
      if (row.start <= mapped && row.end > mapped) mapped = row.end;
    }
    const pid = this.#machine.executorOf(process)?.pid;
    return mapped < end || pid === undefined ? ENOMEM : presentPages(pid, start / PAGE, pages);
  }
}

/** A translated program's vDSO is a page of its executor's own program, to the host. */
function withVdso(shown: readonly MappingInfo[], start: number): readonly MappingInfo[] {
  if (start === 0) return shown;
  const row = {
    start,
    end: start + PAGE,
    prot: PROT_READ | PROT_EXEC,
    shared: false,
    offset: 0,
    dev: 0,
    ino: 0,
    name: "[vdso]",
  };
  const after = shown.findIndex((each) => each.start > start);
  const at = after < 0 ? shown.length : after;
  return [...shown.slice(0, at), row, ...shown.slice(at)];
}

function* match<Row extends HostRow>(
  rows: readonly Row[],
  ranges: readonly GuestRange[],
): Generator<readonly [Row, readonly GuestRange[]]> {
  let first = 0;
  for (const row of rows) {
    while ((ranges[first]?.end ?? Number.POSITIVE_INFINITY) <= row.start) first++;
    let end = first;
    while ((ranges[end]?.start ?? Number.POSITIVE_INFINITY) < row.end) end++;
    yield [row, ranges.slice(first, end)];
  }
}

/** Adds a row, or makes the last one longer: patched pages of code are rows of their own to the host. */
function append(shown: MappingInfo[], row: MappingInfo): void {
  const last = shown[shown.length - 1];
  const continues =
    last !== undefined &&
    row.name !== "" &&
    last.end === row.start &&
    last.prot === row.prot &&
    last.shared === row.shared &&
    last.name === row.name &&
    last.ino === row.ino &&
    (row.dev === 0 || last.offset + (last.end - last.start) === row.offset);
  if (continues) shown[shown.length - 1] = { ...last, end: row.end, ...sum(last, row) };
  else shown.push(row);
}

function sum(a: MappingInfo, b: MappingInfo): { counts?: PageCounts } {
  if (a.counts === undefined || b.counts === undefined) return {};
  const counts: Record<string, number> = {};
  for (const name of PAGE_COUNTS) counts[name] = (a.counts[name] ?? 0) + (b.counts[name] ?? 0);
  return { counts };
}

function overlap(row: HostRow, range: GuestRange): MappingInfo {
  const start = Math.max(row.start, range.start);
  const { name, dev, ino } = range;
  return {
    start,
    end: Math.min(row.end, range.end),
    prot: range.executable ? row.prot | PROT_EXEC : row.prot,
    shared: row.shared,
    offset: dev === 0 ? 0 : range.offset + (start - range.start),
    dev,
    ino,
    name: name === "" && row.name === SHARED_ANONYMOUS ? SHARED_ANONYMOUS : name,
    ...(row.counts === undefined ? {} : { counts: row.counts }),
  };
}

/** The rows of the host's smaps. A row that is in part ours is counted whole: the host does not say more. */
function countedRows(pid: number): HostRow[] {
  const rows: (HostRow & { counts: Record<string, number> })[] = [];
  for (const line of readText(`/proc/${pid}/smaps`).split("\n")) {
    const [, name = "", value = ""] = /^(\w+): +(\d+) kB$/.exec(line) ?? [];
    const last = rows[rows.length - 1];
    if (name !== "" && last !== undefined) last.counts[name] = Number(value);
    else rows.push(...parseRow(line).map((row) => ({ ...row, counts: {} })));
  }
  return rows;
}

function parseRow(line: string): HostRow[] {
  const match = /^([0-9a-f]+)-([0-9a-f]+) (.)(.)(.)(.) \S+ \S+ \S+ *(.*)$/.exec(line);
  if (match === null) return [];
  const [, start = "", end = "", read, write, execute, sharing, name = ""] = match;
  const prot = (read === "r" ? 1 : 0) | (write === "w" ? 2 : 0) | (execute === "x" ? 4 : 0);
  return [
    {
      start: Number.parseInt(start, 16),
      end: Number.parseInt(end, 16),
      prot,
      shared: sharing === "s",
      name,
    },
  ];
}

/** Of a process that is nothing but the guest's executor; its runtime is small. */
function residentOf(pid: number): { resident: number; shared: number } {
  const [, resident = 0, shared = 0] = readText(`/proc/${pid}/statm`).split(" ").map(Number);
  return { resident: resident * PAGE, shared: shared * PAGE };
}

/** Of a process in which other things live, too. */
function residentIn(
  pid: number,
  ranges: readonly GuestRange[],
): { resident: number; shared: number } {
  const rows: (HostRow & { residentBytes: number; sharedBytes: number })[] = [];
  for (const line of readText(`/proc/${pid}/smaps`).split("\n")) {
    const [row] = parseRow(line);
    const last = rows[rows.length - 1];
    const [, key, value] = /^(\w+): +(\d+) kB$/.exec(line) ?? [];
    if (row !== undefined) rows.push({ ...row, residentBytes: 0, sharedBytes: 0 });
    else if (last !== undefined && key === "Rss") last.residentBytes = Number(value) * 1024;
    else if (last !== undefined && key === "Anonymous") {
      last.sharedBytes = Math.max(0, last.residentBytes - Number(value) * 1024);
    }
  }
  let resident = 0;
  let shared = 0;
  for (const [row, overlaps] of match(rows, ranges)) {
    const bytes = overlaps
      .map((range) => Math.min(row.end, range.end) - Math.max(row.start, range.start))
      .reduce((sum, length) => sum + length, 0);
    resident += Math.min(row.residentBytes, bytes);
    shared += Math.min(row.sharedBytes, bytes);
  }
  return { resident, shared };
}

/** The host's word for each page; where it has none, all count as present. See pagemap(5) of the kernel. */
function presentPages(pid: number, first: number, pages: number): Uint8Array {
  const present = new Uint8Array(pages);
  const fd = openHostPath(`/proc/${pid}/pagemap`, O_RDONLY);
  if (fd instanceof Errno) return present.fill(1);
  for (let done = 0; done < pages; done += PAGEMAP_CHUNK) {
    const count = Math.min(PAGEMAP_CHUNK, pages - done);
    const entries = readFully(fd, (first + done) * PAGEMAP_ENTRY, count * PAGEMAP_ENTRY);
    if (entries instanceof Errno) {
      present.fill(1, done);
      break;
    }
    for (let i = 0; i < count; i++) {
      // Bit 63 of a little-endian word: the page is in memory.
      present[done + i] = (entries[i * PAGEMAP_ENTRY + 7] ?? 0) >> 7;
    }
  }
  closeFd(fd);
  return present;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
