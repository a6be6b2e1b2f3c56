/** Claims about what an idle container holds: memory of all its processes. */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { DDCLI, MODES, type Mode, modeOption } from "../test/fixtures/dd.ts";
import { type Claim, main } from "./claim.ts";
import { installed, leave } from "./setting.ts";

const SETTLE_MS = 1_500;

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

/** A process and all its descendants. */
function family(root: number): number[] {
  const parents = readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 0)
    .map((pid) => [pid, Number(/\nPPid:\t(\d+)/.exec(read(`/proc/${pid}/status`))?.[1])] as const);
  const found = [root];
  for (const pid of found) {
    for (const [child, parent] of parents) if (parent === pid) found.push(child);
  }
  return found;
}

/** MiB of resident memory of a process and its descendants, each counted in full. */
function residentMiB(root: number): number {
  const kib = family(root).map((pid) =>
    Number(/\nVmRSS:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0),
  );
  return kib.reduce((sum, value) => sum + value, 0) / 1024;
}

async function residentOf(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(argv[0] as string, argv.slice(1), { env, stdio: "ignore" });
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const mib = residentMiB(child.pid as number);
  const ended = new Promise((resolve) => child.on("exit", resolve));
  child.kill("SIGKILL");
  await ended;
  return mib;
}

export async function claims(): Promise<readonly Claim[]> {
  const dd = await installed("busybox");
  const idle = (mode: Mode) =>
    residentOf(
      [
        process.execPath,
        DDCLI,
        "run",
        "--rm",
        ...modeOption(mode),
        "busybox:test",
        "sleep",
        "1000",
      ],
      { ...dd.env },
    );
  return MODES.map((mode) => ({
    claim: `${mode}: an idle sleep container holds at most 80 MiB`,
    unit: "MiB" as const,
    rounds: 3,
    idleOnly: true,
    pair: {
      dd: () => idle(mode),
      native: () => residentOf([process.execPath, "-e", "setTimeout(() => {}, 1e6)"], process.env),
    },
    holds: (mib) => mib <= 80,
  }));
}

await main(import.meta.url, claims).finally(leave);
