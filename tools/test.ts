/**
 * `npm test`: the whole gate, in the order in which failures are cheapest to learn of. Ends with one line,
 * `N passed, N failed, N skipped`, and exits with 1 when anything failed. Skipped are the known failures of
 * test/known-failures.txt: they did fail, as listed.
 *
 * Cases of up to FILES_AGAIN_MAX files that fail are run once more, by themselves: see second-run.ts.
 *
 *   npm test                 everything
 *   npm test -- --only ava   the steps whose name contains the word
 */
import { spawnSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readKnownFailures } from "./known-failures.ts";
import { fileOf, type Judgement, judge } from "./second-run.ts";
import { readTap, type TapResult } from "./tap.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
/** No step may take longer; the CI machine's limit for all of them is 25 minutes. */
const STEP_TIMEOUT_MS = 20 * 60_000;
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024;
/** Where more files fail than these, it is no accident. */
const FILES_AGAIN_MAX = 5;
/** A second run's file may take so long. */
const AGAIN_TIMEOUT_MS = 5 * 60_000;

interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

interface Step {
  readonly name: string;
  readonly command: readonly string[];
  /** Tells from the output what passed and failed; absent: the command is one case. */
  readonly count?: (output: string, succeeded: boolean) => Tally;
}

const IMAGES = ["busybox", "debian", "busybox-arm64", "debian-arm64", "services"];

const STEPS: readonly Step[] = [
  { name: "tsc", command: ["npx", "tsc", "-b"] },
  { name: "generated files", command: ["node", "build/js/tools/gen.js", "--check"] },
  { name: "biome", command: ["npx", "biome", "ci", "--colors=off", "."] },
  { name: "clang-format", command: ["node", "build/js/tools/clang.js", "check"] },
  { name: "C++ tests build", command: ["node", "build/js/tools/build-tests.js"] },
  // Here, and not by the first test that needs them: it takes minutes where there is no cache of them.
  { name: "test images", command: ["test/fixtures/images.sh", ...IMAGES] },
  { name: "ava", command: ["npx", "ava", "--tap"], count: countAva },
];

/** A TAP stream that breaks off has no plan at its end. */
const PLAN = /^1\.\.\d+$/m;

/** Runs the files of failed cases again, if they are few. */
function runAgain(first: readonly TapResult[]): Judgement {
  const all = readdirSync(`${root}test`, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".test.ts"))
    .map((path) => `test/${path}`);
  const failed = new Set(first.filter(({ ok }) => !ok).map((result) => fileOf(result, all)));
  const files = [...failed].filter((file) => file !== undefined);
  if (files.length > FILES_AGAIN_MAX) return { results: first, unsteady: [] };
  const second = new Map<string, TapResult[]>();
  for (const file of files) {
    const { stdout } = execute(["npx", "ava", "--tap", file], AGAIN_TIMEOUT_MS);
    if (PLAN.test(stdout)) second.set(file, readTap(stdout));
  }
  return judge(first, second);
}

function countAva(output: string, succeeded: boolean): Tally {
  const known = readKnownFailures();
  const seen = new Set<string>();
  const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
  const first = readTap(output);
  const { results, unsteady } = succeeded ? { results: first, unsteady: [] } : runAgain(first);
  for (const { title, text } of unsteady) console.log(`unsteady: ${title}\n${text}`);
  for (const { title, ok, text } of results) {
    const listed = known.find(
      (entry) => title === entry.title || title.endsWith(` › ${entry.title}`),
    );
    if (listed !== undefined) seen.add(listed.title);
    if (!ok) {
      tally.failed++;
      console.log(text);
    } else if (listed !== undefined) {
      tally.skipped++;
      console.log(`known failure: ${title}: ${listed.reason}`);
    } else {
      tally.passed++;
    }
  }
  for (const { title } of known) {
    if (seen.has(title)) continue;
    tally.failed++;
    console.log(`test/known-failures.txt lists a test that does not exist: ${title}`);
  }
  const isExplained = succeeded || unsteady.length > 0;
  if (tally.failed === 0 && !(isExplained && PLAN.test(output))) tally.failed = 1;
  return tally;
}

function execute([command = "", ...args]: readonly string[], timeout: number) {
  return spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    timeout,
    maxBuffer: OUTPUT_BYTES_MAX,
  });
}

/** Runs a step, prints what a reader needs, and tells what it counted. */
function run(step: Step): Tally {
  const start = performance.now();
  const result = execute(step.command, STEP_TIMEOUT_MS);
  const succeeded = result.status === 0;
  const tally = step.count?.(result.stdout, succeeded) ?? {
    passed: succeeded ? 1 : 0,
    failed: succeeded ? 0 : 1,
    skipped: 0,
  };
  if (!succeeded) {
    if (step.count !== countAva) console.log(result.stdout.trimEnd());
    console.log(result.stderr.trimEnd());
    if (result.error !== undefined) console.log(`${step.name}: ${result.error.message}`);
  }
  writeFileSync(`${root}build/test-${step.name.replace(/\W+/g, "-")}.log`, result.stdout);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${tally.failed === 0 ? "ok" : "NOT OK"} ${step.name} (${seconds} s)`);
  return tally;
}

// Tests make files that others are to read, whoever runs them.
process.umask(0o022);
const onlyAt = process.argv.indexOf("--only");
const only = onlyAt === -1 ? "" : (process.argv[onlyAt + 1] ?? "");
const total: Tally = { passed: 0, failed: 0, skipped: 0 };
for (const step of STEPS) {
  if (!step.name.includes(only)) continue;
  const tally = run(step);
  total.passed += tally.passed;
  total.failed += tally.failed;
  total.skipped += tally.skipped;
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 ? 0 : 1;
