import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { censusAfter, descendants, settledCensus } from "../../fixtures/census.ts";
import { type Churn, startChurn } from "../../fixtures/churn.ts";
import { MODES, modeOption, openDd } from "../../fixtures/dd.ts";
import { image, TREE } from "../../fixtures/images.ts";
import { EFFORT } from "../../fixtures/native-test.ts";
import { until } from "../../fixtures/until.ts";

const dd = openDd();
test.before(async (t) => {
  t.timeout(300_000);
  await dd.load(image("busybox"));
  await dd.run(["run", "--rm", "busybox:test", "true"]);
});
test.after.always(() => dd.close());

/** What the victim does for ever; see test/native/churn.cc. */
const WORK = [
  "spin",
  "park",
  "call",
  "lease",
  "blocked",
  "fork",
  "vfork",
  "exec",
  "again",
  "threads",
  "crowd",
  "crowd-exec",
  "mapped",
  "pipe",
] as const;

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** The container's host processes but for the launcher and those that `kept` has. */
function victims(churn: Churn, kept: ReadonlySet<number>): number[] {
  return descendants(churn.pid)
    .filter(
      ({ pid, parent, name }) => !kept.has(pid) && !(parent === churn.pid && name === LAUNCHER),
    )
    .map(({ pid }) => pid);
}
const LAUNCHER = "dd-guest";

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended meanwhile.
  }
}

/** When to kill: each leaves the victims in another state of a call, or of a beginning or end. */
const MOMENTS: Readonly<
  Record<string, (churn: Churn, kept: ReadonlySet<number>) => Promise<void>>
> = {
  "at random": () => sleep(Math.random() * 6),
  "while the sentry takes no calls": async (churn) => {
    await sleep(Math.random() * 3);
    signal(churn.pid, "SIGSTOP");
    await sleep(3);
  },
  "while its answer is not read": async (churn, kept) => {
    for (const pid of victims(churn, kept)) signal(pid, "SIGSTOP");
    await sleep(3);
  },
  "as soon as a new process is seen": (churn) => newProcess(churn),
  "while a new process is not attached": async (churn) => {
    await newProcess(churn);
    signal(churn.pid, "SIGSTOP");
    await sleep(2);
  },
};
const LOOKS = 10;

/** A process that was not there before, if one comes soon. */
async function newProcess(churn: Churn): Promise<void> {
  const known = new Set(descendants(churn.pid).map(({ pid }) => pid));
  for (let i = 0; i < LOOKS; i++) {
    if (descendants(churn.pid).some(({ pid }) => !known.has(pid))) return;
  }
  await sleep(0);
}

/** Starts a worker and kills whatever comes of it, until its parent has waited for it. */
async function killWorker(
  churn: Churn,
  work: string,
  when: (churn: Churn, kept: ReadonlySet<number>) => Promise<void>,
  kept: ReadonlySet<number>,
): Promise<string> {
  const started = await churn.say(`worker ${work}`);
  if (started !== `worker ${work}`) return started;
  let answer: string | undefined;
  const reaped = churn.say("reap").then((line) => {
    answer = line;
  });
  await until(async () => {
    await when(churn, kept);
    for (const pid of victims(churn, kept)) signal(pid, "SIGKILL");
    signal(churn.pid, "SIGCONT");
    await sleep(0);
    return answer !== undefined;
  });
  if (answer !== undefined) await reaped;
  return answer ?? "no answer";
}

async function start(mode: (typeof MODES)[number]): Promise<[Churn, ReadonlySet<number>]> {
  const churn = await startChurn(dd, mode);
  // The launcher is started when it is needed first.
  await churn.say("exec 2");
  await settledCensus(dd, churn.pid);
  return [churn, new Set(descendants(churn.pid).map(({ pid }) => pid))];
}

async function nextRunWorks(t: ExecutionContext, mode: (typeof MODES)[number]): Promise<void> {
  t.true(await until(() => dd.processes().length === 0));
  const next = await dd.run(["run", "--rm", ...modeOption(mode), "busybox:test", "echo", "fine"]);
  t.deepEqual([next.stdout, next.code], ["fine\n", 0], next.stderr);
}

for (const mode of MODES) {
  for (const [moment, when] of Object.entries(MOMENTS)) {
    test.serial(
      `an executor that the host kills ${moment} dies of SIGKILL, alone, ${mode}`,
      async (t) => {
        t.timeout(300_000);
        const [churn, kept] = await start(mode);
        const before = await settledCensus(dd, churn.pid);
        for (let round = 0; round < 2 * EFFORT; round++) {
          for (const work of WORK) {
            t.is(await killWorker(churn, work, when, kept), "reaped 9", work);
          }
        }
        t.is(await churn.say("exec 3"), "done exec");
        t.deepEqual(await censusAfter(dd, churn.pid, before), before);
        t.is(await churn.end(), 0);
        await nextRunWorks(t, mode);
      },
    );
  }

  test.serial(
    `the signal by which the host ends an executor is its wait status, ${mode}`,
    async (t) => {
      t.timeout(300_000);
      const [churn, kept] = await start(mode);
      // Trusted: what shares the sentry's process, or was forked from it, takes no signal but SIGKILL and faults.
      const numbers = {
        SIGKILL: 9,
        SIGSEGV: 11,
        ...(mode === "untrusted" ? { SIGTERM: 15, SIGABRT: 6 } : {}),
      };
      for (const [name, number] of Object.entries(numbers)) {
        for (const work of ["spin", "park", "call"]) {
          t.is(await churn.say(`worker ${work}`), `worker ${work}`);
          t.true(await until(() => victims(churn, kept).length > 0));
          await settledCensus(dd, churn.pid);
          for (const pid of victims(churn, kept)) signal(pid, name as NodeJS.Signals);
          t.is(await churn.say("reap"), `reaped ${number}`, `${name} ${work}`);
        }
      }
      t.is(await churn.end(), 0);
    },
  );

  test.serial(`calls of random numbers and registers each have an answer, ${mode}`, async (t) => {
    t.timeout(300_000);
    const seeds = Array.from({ length: 40 * EFFORT }, () => 1 + Math.floor(Math.random() * 1e6));
    t.log(seeds);
    const script = seeds.map((seed) => `/h/hostile-guest random-calls ${seed}; echo "${seed}: $?"`);
    const args = ["run", "--rm", ...modeOption(mode), "-v", `${join(TREE, "build-native")}:/h:ro`];
    const { stdout, stderr, code } = await dd.run(
      [...args, "busybox:test", "sh", "-c", [...script, "echo still here"].join("\n")],
      { timeoutMs: 200_000 },
    );
    t.regex(stdout, /\nstill here\n$/, stderr);
    t.is(code, 0, stderr);
    await nextRunWorks(t, mode);
  });
}
