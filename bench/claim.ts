/** What a claim about speed is, and how it is measured: in pairs with native, idle and with one CPU loaded. */
import { spawn } from "node:child_process";
import { cpus, loadavg } from "node:os";
import { fileURLToPath } from "node:url";

/** One thing measured in two ways. All values are in the claim's unit; less is better. */
export interface Pair {
  readonly dd: () => Promise<number>;
  readonly native: () => Promise<number>;
}

export interface Claim {
  /** As the README says it. */
  readonly claim: string;
  readonly unit: "ns" | "ms" | "MiB" | "MB/s" | "s";
  /** How many pairs are taken. */
  readonly rounds: number;
  readonly pair: Pair;
  /** Whether the medians bear the claim out. */
  readonly holds: (dd: number, native: number) => boolean;
  /** Measured with both CPUs free only: a loaded machine says nothing about it. */
  readonly idleOnly?: boolean;
}

export interface Measurement {
  readonly claim: string;
  readonly load: "idle" | "one CPU loaded";
  readonly unit: string;
  readonly dd: number;
  readonly native: number;
  readonly ratio: number;
  readonly holds: boolean;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  const lower = sorted[sorted.length % 2 === 1 ? middle : middle - 1];
  if (upper === undefined || lower === undefined) throw new RangeError("No values have no median");
  return (lower + upper) / 2;
}

async function measureOnce(claim: Claim, load: Measurement["load"]): Promise<Measurement> {
  const dd: number[] = [];
  const native: number[] = [];
  await claim.pair.native();
  await claim.pair.dd();
  for (let round = 0; round < claim.rounds; round++) {
    // Alternating which goes first keeps a drift of the machine from favouring one.
    if (round % 2 === 0) native.push(await claim.pair.native());
    dd.push(await claim.pair.dd());
    if (round % 2 === 1) native.push(await claim.pair.native());
  }
  const [a, b] = [median(dd), median(native)];
  return {
    claim: claim.claim,
    load,
    unit: claim.unit,
    dd: a,
    native: b,
    ratio: a / b,
    holds: claim.holds(a, b),
  };
}

/** Measures idle, and again while another process keeps one CPU busy. */
export async function measure(claim: Claim): Promise<Measurement[]> {
  const results = [await measureOnce(claim, "idle")];
  if (claim.idleOnly !== true) {
    const busy = spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" });
    try {
      results.push(await measureOnce(claim, "one CPU loaded"));
    } finally {
      busy.kill("SIGKILL");
    }
  }
  return results;
}

function print(results: readonly Measurement[]): void {
  for (const result of results) {
    const number = (value: number) => value.toPrecision(4);
    console.log(
      `${result.holds ? "holds" : "FAILS"}  ${result.claim} (${result.load}): ` +
        `${number(result.dd)} ${result.unit}, native ${number(result.native)} ${result.unit}, ` +
        `ratio ${number(result.ratio)}`,
    );
  }
}

/**
 * Runs the claims of a file when it is the program: prints lines, or JSON with `--json`. The claim must hold idle;
 * loaded numbers are told and not judged.
 */
export async function main(url: string, claims: () => Promise<readonly Claim[]>): Promise<void> {
  if (process.argv[1] !== fileURLToPath(url)) return;
  const results: Measurement[] = [];
  for (const claim of await claims()) {
    try {
      results.push(...(await measure(claim)));
    } catch (error) {
      console.error(`FAILS  ${claim.claim}: ${error instanceof Error ? error.message : error}`);
      process.exitCode = 1;
    }
  }
  if (process.argv.includes("--json")) {
    const machine = { cpus: cpus().length, model: cpus()[0]?.model, load: loadavg()[0] };
    console.log(JSON.stringify({ machine, results }, null, 2));
  } else {
    print(results);
  }
  if (results.some((result) => result.load === "idle" && !result.holds)) process.exitCode = 1;
}
