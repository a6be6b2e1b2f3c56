/** The mappings of a process: `maps`, `smaps`, `smaps_rollup`. See proc_pid_maps(5). */
import type { ByteString } from "../../abi/bytes.ts";
import { majorOf, minorOf } from "../../abi/file.ts";
import { type MappingInfo, PAGE_COUNTS, type ProcessInfo } from "./info.ts";

const hex = (value: number, width: number) => value.toString(16).padStart(width, "0");

export function mapsLine(mapping: MappingInfo): ByteString {
  const { start, end, prot, shared, offset, dev, ino, name } = mapping;
  const bits = `${prot & 1 ? "r" : "-"}${prot & 2 ? "w" : "-"}${prot & 4 ? "x" : "-"}`;
  const device = `${hex(majorOf(dev), 2)}:${hex(minorOf(dev), 2)}`;
  const head = `${hex(start, 8)}-${hex(end, 8)} ${bits}${shared ? "s" : "p"} ${hex(offset, 8)} ${device} ${ino}`;
  return name === "" ? `${head} \n` : `${`${head} `.padEnd(73)}${name}\n`;
}

export function smapsEntry(mapping: MappingInfo): ByteString {
  const size = (mapping.end - mapping.start) / 1024;
  const line = (name: string, value: number) =>
    `${`${name}:`.padEnd(16)}${String(value).padStart(8)} kB\n`;
  return (
    mapsLine(mapping) +
    line("Size", size) +
    line("KernelPageSize", 4) +
    line("MMUPageSize", 4) +
    PAGE_COUNTS.map((name) => line(name, mapping.counts?.[name] ?? 0)).join("")
  );
}

export function rollup(process: ProcessInfo): ByteString {
  const rss = Math.floor(process.residentSize / 1024);
  const line = (name: string, value: number) =>
    `${`${name}:`.padEnd(16)}${String(value).padStart(8)} kB\n`;
  return `00000000-ffffffff ---p 00000000 00:00 0 ${" ".repeat(34)}[rollup]\n${line("Rss", rss)}${line("Pss", rss)}`;
}
