/**
 * What a second start of an arm64 program saves: each program is started with nothing kept of its
 * translations, and again with what that start has kept, in pairs. Wall time of `ddcli run`, and CPU
 * time of the guest's processes as its shell counts it. Medians.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { MODES, type Mode, modeOption } from "../test/fixtures/dd.ts";
import { median } from "./claim.ts";
import { installed, leave } from "./setting.ts";

const ROUNDS = 5;
const PROGRAMS = ["true", "bash -c true", "python3 -c pass", "perl -e 0"];

interface Start {
  readonly wallMs: number;
  readonly cpuMs: number;
}

const { values } = parseArgs({
  options: { json: { type: "boolean" }, rounds: { type: "string" } },
});
const dd = await installed("debian-arm64");

async function start(mode: Mode, program: string): Promise<Start> {
  const options = ["--rm", "--platform", "linux/arm64", ...modeOption(mode)];
  const began = performance.now();
  const { code, stdout, stderr } = await dd.run([
    "run",
    ...options,
    "debian-arm64:test",
    "bash",
    "-c",
    `${program}; times`,
  ]);
  const wallMs = performance.now() - began;
  const times = [...stdout.matchAll(/(\d+)m([\d.]+)s/g)];
  if (code !== 0 || times.length !== 4) throw new Error(`${program} ended with ${code}: ${stderr}`);
  const cpuMs = times.reduce((sum, [, m, s]) => sum + Number(m) * 60_000 + Number(s) * 1000, 0);
  return { wallMs, cpuMs };
}

const rows: object[] = [];
let held = true;
for (const mode of MODES) {
  for (const program of PROGRAMS) {
    const pairs: { readonly first: Start; readonly second: Start }[] = [];
    for (let round = 0; round < Number(values.rounds ?? ROUNDS); round++) {
      rmSync(join(dd.root, "translations"), { recursive: true, force: true });
      const first = await start(mode, program);
      pairs.push({ first, second: await start(mode, program) });
    }
    const of = (which: "first" | "second", what: keyof Start) =>
      median(pairs.map((pair) => pair[which][what]));
    const row = {
      program,
      mode,
      first: { wallMs: of("first", "wallMs"), cpuMs: of("first", "cpuMs") },
      second: { wallMs: of("second", "wallMs"), cpuMs: of("second", "cpuMs") },
    };
    rows.push(row);
    const holds = row.second.cpuMs < row.first.cpuMs;
    held &&= holds;
    if (values.json) continue;
    const ms = ({ wallMs, cpuMs }: Start) => `${wallMs.toFixed(0)} ms (CPU ${cpuMs.toFixed(0)} ms)`;
    const verdict = holds ? "holds" : "FAILS";
    const saved = `first ${ms(row.first)}, second ${ms(row.second)}`;
    console.log(`${verdict}  ${program}, ${mode}: ${saved}`);
  }
}
if (values.json) console.log(JSON.stringify(rows));
await leave();
process.exitCode = held ? 0 : 1;
