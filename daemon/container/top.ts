import { totalmem } from "node:os";
import type { JsonObject } from "../../api/engine/json.ts";
import { toText } from "../../sentry/abi/bytes.ts";
import type { ProcessInfo } from "../../sentry/spec.ts";

type Column = readonly [title: string, value: (process: ProcessInfo) => string];

const COLUMNS: Readonly<Record<string, Column>> = {
  uid: ["UID", ({ uid }) => String(uid)],
  user: ["USER", ({ uid }) => (uid === 0 ? "root" : String(uid))],
  pid: ["PID", ({ pid }) => String(pid)],
  ppid: ["PPID", ({ ppid }) => String(ppid)],
  c: ["C", () => "0"],
  stime: ["STIME", ({ startedAt }) => clock(startedAt)],
  start: ["START", ({ startedAt }) => clock(startedAt)],
  tty: ["TTY", () => "?"],
  tt: ["TT", () => "?"],
  stat: ["STAT", ({ state }) => state],
  s: ["S", ({ state }) => state],
  time: ["TIME", ({ cpuMs }) => duration(cpuMs)],
  etime: ["ELAPSED", ({ startedAt }) => duration(Date.now() - startedAt)],
  "%cpu": ["%CPU", ({ cpuMs, startedAt }) => share(cpuMs, Date.now() - startedAt)],
  pcpu: ["%CPU", ({ cpuMs, startedAt }) => share(cpuMs, Date.now() - startedAt)],
  "%mem": ["%MEM", ({ residentBytes }) => share(residentBytes, totalmem())],
  pmem: ["%MEM", ({ residentBytes }) => share(residentBytes, totalmem())],
  vsz: ["VSZ", ({ virtualBytes }) => kib(virtualBytes)],
  rss: ["RSS", ({ residentBytes }) => kib(residentBytes)],
  nlwp: ["NLWP", ({ threads }) => String(threads)],
  cmd: ["CMD", ({ command }) => toText(command)],
  command: ["COMMAND", ({ command }) => toText(command)],
  args: ["COMMAND", ({ command }) => toText(command)],
  comm: ["COMMAND", ({ command }) => toText(command).split(" ", 1)[0]?.split("/").at(-1) ?? ""],
};

const FULL = ["uid", "pid", "ppid", "c", "stime", "tty", "time", "cmd"];
const BSD = [
  ...["user", "pid", "%cpu", "%mem", "vsz", "rss"],
  ...["tty", "stat", "start", "time", "command"],
];

/** Processes as `ps` with these arguments would list them; what it does not know is left out. */
export function describeProcesses(processes: readonly ProcessInfo[], psArgs: string): JsonObject {
  const columns = chosen(psArgs).flatMap((name): Column[] => {
    const column = COLUMNS[name];
    return column === undefined ? [] : [column];
  });
  return {
    Titles: columns.map(([title]) => title),
    Processes: processes.map((process) => columns.map(([, value]) => value(process))),
  };
}

function chosen(psArgs: string): readonly string[] {
  const formats = [...psArgs.matchAll(/(?:^|\s)-?(?:o|eo|axo|-format)[\s=]*([\w,%]+)/g)];
  const names = formats.flatMap((match) => (match[1] ?? "").split(","));
  const known = names.filter((name) => Object.hasOwn(COLUMNS, name));
  if (known.length > 0) return known;
  return /(^|\s)-?[awx]*u[awx]*(\s|$)/.test(psArgs) ? BSD : FULL;
}

function kib(bytes: number): string {
  return String(Math.floor(bytes / 1024));
}

function share(part: number, whole: number): string {
  return whole <= 0 ? "0.0" : ((100 * part) / whole).toFixed(1);
}

function clock(time: number): string {
  return new Date(time).toISOString().slice(11, 16);
}

function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}
