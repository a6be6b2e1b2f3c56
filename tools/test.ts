/**
 * `npm test`: the whole gate, in the order in which failures are cheapest to learn of. Ends with one line,
 * `N passed, N failed, N skipped`, and exits with 1 when anything failed. Skipped are the known failures of
 * test/known-failures.txt: they did fail, as listed.
 *
 *   npm test                 everything
 *   npm test -- --only ava   the steps whose name contains the word
 */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readKnownFailures } from "./known-failures.ts";
import { readTap } from "./tap.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
/** No step may take longer; the CI machine's limit for all of them is 25 minutes. */
const STEP_TIMEOUT_MS = 20 * 60_000;
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024;

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

const STEPS: readonly Step[] = [
  { name: "tsc", command: ["npx", "tsc", "-b"] },
  { name: "generated files", command: ["node", "build/js/tools/gen.js", "--check"] },
  { name: "biome", command: ["npx", "biome", "ci", "--colors=off", "."] },
  { name: "clang-format", command: ["node", "build/js/tools/clang.js", "check"] },
  { name: "C++ tests build", command: ["node", "build/js/tools/build-tests.js"] },
  { name: "ava", command: ["npx", "ava", "--tap"], count: countAva },
];

function countAva(output: string, succeeded: boolean): Tally {
  const known = readKnownFailures();
  const seen = new Set<string>();
  const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
  for (const { title, ok, text } of readTap(output)) {
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
  if (!succeeded && tally.failed === 0) tally.failed = 1;
  return tally;
}

/** Runs a step, prints what a reader needs, and tells what it counted. */
function run(step: Step): Tally {
  const start = performance.now();
  const [command, ...args] = step.command;
  const result = spawnSync(command as string, args, {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    timeout: STEP_TIMEOUT_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
  });
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
