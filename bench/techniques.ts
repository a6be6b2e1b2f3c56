/**
 * What each of the translator's techniques brings: every workload of bench/translator with all of
 * them and with each left out, in turn, as `run-static` runs it. Medians of the CPU time that the
 * programs report; a figure says how many times as long it takes without the technique. `--json`
 * prints the medians; `--rounds N`, `--without A,B` and names of workloads choose.
 */
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { TREE } from "../test/fixtures/images.ts";
import { runProgram } from "../test/fixtures/program.ts";
import { median } from "./claim.ts";

const BUILD = join(TREE, "build/bench/translator");
/** `npm run build:tests` makes it. */
const RUN_STATIC = join(TREE, "build-native/run-static");
const ROUNDS = 3;
/** With floating point in integers. */
const TIMEOUT_MS = 600_000;

async function milliseconds(workload: string, without: string): Promise<number> {
  const { stdout, stderr, code } = await runProgram([RUN_STATIC, join(BUILD, "arm64", workload)], {
    env: { ...process.env, DD_TRANSLATOR_WITHOUT: without },
    timeoutMs: TIMEOUT_MS,
  });
  const match = /^([0-9a-f]{16}) (\d+)$/m.exec(stdout);
  if (match === null) throw new Error(`${workload} without ${without}: ${code} ${stdout}${stderr}`);
  return Number(match[2]);
}

function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

const { values, positionals } = parseArgs({
  options: {
    json: { type: "boolean" },
    rounds: { type: "string" },
    without: { type: "string" },
  },
  allowPositionals: true,
});
execFileSync(join(TREE, "bench/translator/build.sh"), [BUILD], { stdio: ["ignore", 2, 2] });
const all = execFileSync(RUN_STATIC, ["-t"], { encoding: "utf8" }).trim().split("\n");
const techniques = values.without?.split(",") ?? all;
const sources = readdirSync(join(TREE, "bench/translator")).filter((name) => name.endsWith(".c"));
const workloads =
  positionals.length > 0 ? positionals : sources.map((name) => name.slice(0, -2)).sort();
const say = (line: string) => {
  if (!values.json) console.log(line);
};

say(`workload     with all ms ${techniques.map((name) => name.padStart(10)).join(" ")}`);
const rows: { workload: string; ms: number; without: Record<string, number> }[] = [];
for (const workload of workloads) {
  const whole: number[] = [];
  const without = techniques.map((): number[] => []);
  for (let round = 0; round < Number(values.rounds ?? ROUNDS); round++) {
    whole.push(await milliseconds(workload, ""));
    for (const [i, technique] of techniques.entries()) {
      without[i]?.push(await milliseconds(workload, technique));
    }
  }
  const ms = median(whole);
  const medians = techniques.map((name, i) => [name, median(without[i] ?? [])] as const);
  rows.push({ workload, ms, without: Object.fromEntries(medians) });
  const factors = medians.map(([, each]) => (each / ms).toFixed(2).padStart(10));
  say(`${workload.padEnd(12)} ${ms.toFixed(0).padStart(11)} ${factors.join(" ")}`);
}
const means = techniques.map((name) =>
  geometricMean(rows.map((row) => Number(row.without[name]) / row.ms)),
);
say(`geometric mean           ${means.map((mean) => mean.toFixed(2).padStart(10)).join(" ")}`);
if (values.json) console.log(JSON.stringify(rows));
