/**
 * How fast arm64 code is translated, and what that means for the start of programs: the CPU time of short
 * programs of an arm64 image, of the same image for this machine's processor, and of that one natively.
 * `--json` prints the figures for scripts; `--rounds N` chooses how often.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { image, TREE } from "../test/fixtures/images.ts";
import { runProgram } from "../test/fixtures/program.ts";
import { median } from "./claim.ts";
import { installed, leave } from "./setting.ts";

const BUILD = join(TREE, "build/bench/translator");
const ROUNDS = 5;

/** Megabytes of guest code per second of CPU time, at least. */
const SPEED_MIN = 20;
/** The most that a program's start may take, as a multiple of native. */
const STARTS: Readonly<Record<string, number | undefined>> = {
  "python3 -c pass": 4,
  "perl -v": undefined,
  "bash -c true": undefined,
};
/** Starts of a program that are timed together: what tells its CPU time counts in milliseconds. */
const TOGETHER = 10;

const CONTESTANTS = ["native", "dd amd64", "dd arm64"] as const;
type Contestant = (typeof CONTESTANTS)[number];

/** Megabytes per second, one value a round, of what `translation-speed` translates. */
async function speeds(rounds: number): Promise<number[]> {
  const program = join(TREE, "build-native/translation-speed");
  const { code, stdout, stderr } = await runProgram([
    program,
    join(BUILD, "arm64/sqlite"),
    String(rounds),
  ]);
  if (code !== 0) throw new Error(`${program} (npm run build:tests makes it): ${stderr}`);
  return [...stdout.matchAll(/^([\d.]+) MB\/s: /gm)].map((match) => Number(match[1]));
}

/** Milliseconds of CPU time that one start takes. The first of all, which fills caches, is not counted. */
async function start(contestant: Contestant, program: string): Promise<number> {
  const loop = `for i in {1..${TOGETHER}}; do ${program}; done`;
  const script = `TIMEFORMAT='%U %S'; ${program}; time ${loop}`;
  const shell = ["bash", "-c", script];
  const { code, stderr } = await run(contestant, shell);
  const match = /^([\d.]+) ([\d.]+)$/m.exec(stderr);
  if (code !== 0 || match === null) throw new Error(`${program}, ${contestant}: ${stderr}`);
  return ((Number(match[1]) + Number(match[2])) * 1000) / TOGETHER;
}

async function run(contestant: Contestant, argv: readonly string[]) {
  if (contestant === "native") return runProgram(["chroot", image("debian").root, ...argv]);
  const dd = await installed("debian", "debian-arm64");
  const [platform, reference] =
    contestant === "dd arm64"
      ? ["linux/arm64", "debian-arm64:test"]
      : ["linux/amd64", "debian:test"];
  return dd.run(["run", "--rm", "--platform", platform, reference, ...argv], {
    timeoutMs: 300_000,
  });
}

const { values } = parseArgs({
  options: { json: { type: "boolean" }, rounds: { type: "string" } },
});
const rounds = Number(values.rounds ?? ROUNDS);
const say = (line: string) => {
  if (!values.json) console.log(line);
};
execFileSync(join(TREE, "bench/translator/build.sh"), [BUILD], { stdio: ["ignore", 2, 2] });
const speed = median(await speeds(rounds));
let held = speed >= SPEED_MIN;
say(
  `${speed.toFixed(1)} MB of guest code are translated per second of CPU time ` +
    `(at least ${SPEED_MIN}): ${held ? "holds" : "does not hold"}`,
);

const rows = [];
say("start             native ms  dd amd64 ms  dd arm64 ms  arm64/native  limit");
for (const [program, limit] of Object.entries(STARTS)) {
  const times: Record<Contestant, number[]> = { native: [], "dd amd64": [], "dd arm64": [] };
  for (let round = 0; round < rounds; round++) {
    for (const contestant of CONTESTANTS) times[contestant].push(await start(contestant, program));
  }
  const [native, amd64, arm64] = CONTESTANTS.map((contestant) => median(times[contestant]));
  const ratio = Number(arm64) / Number(native);
  const holds = limit === undefined || ratio <= limit;
  held &&= holds;
  rows.push({ program, native, amd64, arm64, ratio, limit });
  say(
    `${program.padEnd(17)} ${Number(native).toFixed(1).padStart(9)} ` +
      `${Number(amd64).toFixed(1).padStart(12)} ${Number(arm64).toFixed(1).padStart(12)} ` +
      `${ratio.toFixed(1).padStart(13)} ${String(limit ?? "").padStart(6)} ${holds ? "" : "does not hold"}`,
  );
}
if (values.json) console.log(JSON.stringify({ speed, starts: rows }));
await leave();
process.exitCode = held ? 0 : 1;
