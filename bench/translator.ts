/**
 * What translation costs: thirteen programs built for both instruction sets, run natively, by dd and by
 * qemu-aarch64 in turn. Medians of the CPU time the programs report of themselves, and ratios to native.
 * `--json` prints the rows for scripts; `--rounds N` and names of workloads choose.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { TREE } from "../test/fixtures/images.ts";
import { runProgram } from "../test/fixtures/program.ts";
import { median } from "./claim.ts";
import { installed, leave } from "./setting.ts";

const BUILD = join(TREE, "build/bench/translator");
const ROUNDS = 5;

/** The most that a workload may take in a container, as a multiple of native. */
const WORKLOADS: Readonly<Record<string, number | undefined>> = {
  nbody: 2.5,
  matmul: 2.5,
  mandelbrot: 2.5,
  sqlite: 3,
  qsort: 2,
  memcpy: 2,
  sieve: 2,
  textscan: 2,
  sha256: 2,
  base64: 2,
  calls: undefined,
  interp: undefined,
  syscalls: undefined,
};
const GEOMETRIC_MEAN_MAX = 2;
/** How often as fast as qemu. */
const QEMU_FACTOR = 3;

const CONTESTANTS = ["native", "dd", "qemu"] as const;
type Contestant = (typeof CONTESTANTS)[number];

interface Row {
  readonly workload: string;
  readonly ms: Readonly<Record<Contestant, number>>;
  readonly limit: number | undefined;
}

async function run(contestant: Contestant, workload: string) {
  const dd = await installed("busybox-arm64");
  switch (contestant) {
    case "native":
      return runProgram([join(BUILD, "x86_64", workload)]);
    case "qemu":
      return runProgram(["qemu-aarch64", join(BUILD, "arm64", workload)], { timeoutMs: 300_000 });
    case "dd": {
      const options = ["--rm", "--platform", "linux/arm64", "-v", `${BUILD}/arm64:/bench:ro`];
      return dd.run(["run", ...options, "busybox-arm64:test", `/bench/${workload}`], {
        timeoutMs: 300_000,
      });
    }
  }
}

async function measure(workload: string, rounds: number): Promise<Row> {
  const times: Record<Contestant, number[]> = { native: [], dd: [], qemu: [] };
  const sums = new Set<string>();
  for (let round = 0; round < rounds; round++) {
    for (const contestant of CONTESTANTS) {
      const { stdout, stderr, code } = await run(contestant, workload);
      const match = /^([0-9a-f]{16}) (\d+)$/m.exec(stdout);
      if (match === null) throw new Error(`${workload}, ${contestant}: ${code} ${stdout}${stderr}`);
      sums.add(String(match[1]));
      times[contestant].push(Number(match[2]));
    }
  }
  if (sums.size !== 1) throw new Error(`${workload} has several checksums: ${[...sums].join(" ")}`);
  return {
    workload,
    ms: { native: median(times.native), dd: median(times.dd), qemu: median(times.qemu) },
    limit: WORKLOADS[workload],
  };
}

function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

const { values, positionals } = parseArgs({
  options: { json: { type: "boolean" }, rounds: { type: "string" } },
  allowPositionals: true,
});
execFileSync(join(TREE, "bench/translator/build.sh"), [BUILD], { stdio: ["ignore", 2, 2] });
const rows: Row[] = [];
let held = true;
const say = (line: string) => {
  if (!values.json) console.log(line);
};
say("workload      native ms    dd ms  qemu ms   dd/native  qemu/native  limit");
for (const workload of positionals.length > 0 ? positionals : Object.keys(WORKLOADS)) {
  const row = await measure(workload, Number(values.rounds ?? ROUNDS));
  rows.push(row);
  const { native, dd, qemu } = row.ms;
  const holds = row.limit === undefined || dd / native <= row.limit;
  held &&= holds;
  say(
    `${workload.padEnd(12)} ${native.toFixed(0).padStart(10)} ${dd.toFixed(0).padStart(8)} ` +
      `${qemu.toFixed(0).padStart(8)} ${(dd / native).toFixed(2).padStart(11)} ` +
      `${(qemu / native).toFixed(2).padStart(12)} ${String(row.limit ?? "").padStart(6)} ` +
      `${holds ? "" : "does not hold"}`,
  );
}
const claimed = rows.filter((row) => row.limit !== undefined);
if (claimed.length === Object.values(WORKLOADS).filter((limit) => limit !== undefined).length) {
  const dd = geometricMean(claimed.map(({ ms }) => ms.dd / ms.native));
  const qemu = geometricMean(claimed.map(({ ms }) => ms.qemu / ms.native));
  held &&= dd <= GEOMETRIC_MEAN_MAX && qemu / dd >= QEMU_FACTOR;
  say(
    `geometric mean of those with a limit: dd ${dd.toFixed(2)} (at most ${GEOMETRIC_MEAN_MAX}), ` +
      `qemu ${qemu.toFixed(2)}, ${(qemu / dd).toFixed(1)} times dd's (at least ${QEMU_FACTOR})`,
  );
}
if (values.json) console.log(JSON.stringify(rows));
await leave();
process.exitCode = held ? 0 : 1;
