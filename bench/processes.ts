/** Claims about making and ending processes: what shells and builds do all day. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { type Mode, modeOption } from "../test/fixtures/dd.ts";
import { TREE } from "../test/fixtures/images.ts";
import { runProgram } from "../test/fixtures/program.ts";
import { type Claim, main } from "./claim.ts";
import { installed, leave } from "./setting.ts";

const ROUNDS = 5;
const COUNT = 200;
/** Most that fork, exec and wait of a small program may take. */
const EXEC_MS = 5;
const BUILD = join(TREE, "build/bench");

/** Milliseconds of one fork, exec, ... in a loop of test/native/churn.cc, its own start taken off. */
async function each(what: string, where: Mode | "native"): Promise<number> {
  const times = [];
  for (const count of [0, COUNT]) {
    const start = performance.now();
    const { stdout, stderr } = await churn(`${what} ${count}\n`, where);
    times.push(performance.now() - start);
    if (stdout !== `done ${what}\n`) throw new Error(`churn says ${stdout}${stderr}`);
  }
  const [none = 0, all = 0] = times;
  return (all - none) / COUNT;
}

async function churn(input: string, where: Mode | "native") {
  if (where === "native") return runProgram([join(BUILD, "churn")], { input });
  const dd = await installed("busybox");
  const args = ["run", "-i", "--rm", ...modeOption(where), "-v", `${BUILD}:/bench:ro`];
  return dd.run([...args, "busybox:test", "/bench/churn"], { input });
}

export async function claims(): Promise<readonly Claim[]> {
  execFileSync("mkdir", ["-p", BUILD]);
  const source = join(TREE, "test/native/churn.cc");
  const options = ["-std=c++20", "-O2", "-fPIE", "-static-pie", "-pthread"];
  execFileSync("c++", [...options, "-o", join(BUILD, "churn"), source]);
  const pair = (what: string, mode: Mode) => ({
    dd: () => each(what, mode),
    native: () => each(what, "native"),
  });
  const modes = ["trusted", "untrusted"] as const;
  return modes.flatMap((mode) => [
    ...["fork", "exec", "vfork"].map((what) => ({
      claim: `${mode}: ${NAMES[what]} takes at most ${EXEC_MS} ms`,
      unit: "ms" as const,
      rounds: ROUNDS,
      pair: pair(what, mode),
      idleOnly: true,
      holds: (dd: number) => dd <= EXEC_MS,
    })),
  ]);
}

const NAMES: Readonly<Record<string, string>> = {
  fork: "fork, exit and wait",
  exec: "fork, exec and wait",
  vfork: "vfork, exec and wait",
};

await main(import.meta.url, claims).finally(leave);
