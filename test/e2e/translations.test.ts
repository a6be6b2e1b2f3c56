/** What a second start of an arm64 program finds of the first one. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { type Dd, MODES, type Mode, modeOption, openDd } from "../fixtures/dd.ts";
import { image } from "../fixtures/images.ts";
import { until } from "../fixtures/until.ts";

const IMAGE = "busybox-arm64";
const STORED = /^[0-9a-f]{64}-/;
/** Enough of busybox for a process to be worth it. */
const SCRIPT =
  "echo one two | sed s/one/three/; seq 3 | sort -r | awk '{ s += $1 } END { print s }'";
const SAID = "three two\n6\n";

let dd: Dd;
test.before(async () => {
  dd = openDd();
  await dd.load(image(IMAGE));
});
test.after.always(() => dd.close());

const directory = () => join(dd.root, "translations");
const forget = () => rmSync(directory(), { recursive: true, force: true });
const read = (name: string) => readFileSync(join(directory(), name));
/** The store files there are, by name, with the digests of what is in them. */
function stored(): Readonly<Record<string, string>> {
  const names = readdirSync(directory()).filter((name) => STORED.test(name));
  const digest = (name: string) => createHash("sha256").update(read(name)).digest("hex");
  return Object.fromEntries(names.map((name) => [name, digest(name)]));
}
const kept = () => Object.keys(stored()).length;

function runArguments(mode: Mode, ...options: string[]): string[] {
  return ["run", ...options, "--platform", "linux/arm64", ...modeOption(mode), `${IMAGE}:test`];
}

/** Runs the script once. @returns what the sentry has said about translations. */
async function runs(t: ExecutionContext, mode: Mode): Promise<readonly string[]> {
  const { stdout, stderr, code } = await dd.run([
    ...runArguments(mode, "--rm"),
    "sh",
    "-c",
    SCRIPT,
  ]);
  t.deepEqual({ stdout, code }, { stdout: SAID, code: 0 }, stderr);
  return stderr.split("\n").filter((line) => line.startsWith("Translations "));
}

/** Whether some process of this machine has a store file of ours mapped. */
function isMapped(): boolean {
  return readdirSync("/proc").some((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/maps`, "latin1").includes(`${directory()}/`);
    } catch {
      // It has ended meanwhile.
      return false;
    }
  });
}

for (const mode of MODES) {
  test.serial(
    `the first start keeps translations, and the second is lent them, ${mode}`,
    async (t) => {
      forget();
      t.deepEqual(await runs(t, mode), []);
      t.true(kept() > 0);
      const before = stored();
      t.deepEqual(await runs(t, mode), []);
      t.deepEqual(stored(), before, "the same start has nothing to add");
      const name = `lent-${mode}`;
      const script = `${SCRIPT}; echo ready; sleep 1000`;
      await dd.run([...runArguments(mode, "-d", "--name", name), "sh", "-c", script]);
      await until(async () => (await dd.run(["logs", name])).stdout.includes("ready"));
      t.true(isMapped());
      t.is((await dd.run(["logs", name])).stdout, `${SAID}ready\n`);
      t.is((await dd.run(["rm", "-f", name])).code, 0);
      await until(() => !isMapped());
    },
  );

  test.serial(
    `a store file that has been tampered with is refused, and made anew, ${mode}`,
    async (t) => {
      await runs(t, mode);
      const names = Object.keys(stored());
      for (const name of names) {
        const bytes = read(name);
        const middle = bytes.length >> 1;
        const bad = Buffer.from(bytes);
        bad[middle] = (bad[middle] ?? 0) ^ 0x80;
        writeFileSync(join(directory(), name), bad);
      }
      const said = await runs(t, mode);
      t.is(said.length, names.length);
      for (const line of said) t.regex(line, /refused, to be made anew: it has been changed/);
      t.deepEqual(Object.keys(stored()), names);
      t.deepEqual(await runs(t, mode), []);
    },
  );
}

test.serial("two first starts at once leave what the next one can use", async (t) => {
  forget();
  const said = await Promise.all([runs(t, "trusted"), runs(t, "untrusted")]);
  t.deepEqual(said, [[], []]);
  t.true(kept() > 0);
  t.deepEqual(await runs(t, "untrusted"), []);
});

test.serial("what one mode has kept the other is lent, without making it again", async (t) => {
  forget();
  await runs(t, "trusted");
  const before = stored();
  t.deepEqual(await runs(t, "untrusted"), []);
  t.deepEqual(stored(), before);
});

test.serial("a store that cannot be written is said, and harms nobody", async (t) => {
  forget();
  writeFileSync(directory(), "not a directory");
  t.teardown(forget);
  for (const mode of MODES) {
    const said = await runs(t, mode);
    t.true(said.length > 0);
    for (const line of said) t.regex(line, /not kept/);
  }
});

test.serial("translations of layers that are gone go with them", async (t) => {
  const other = openDd();
  t.teardown(() => other.close());
  await other.load(image(IMAGE));
  const names = () =>
    readdirSync(join(other.root, "translations")).filter((name) => STORED.test(name));
  await other.run([...runArguments("trusted", "--rm"), "sh", "-c", SCRIPT]);
  t.true(names().length > 0);
  await other.run(["image", "prune", "-f"]);
  t.true(names().length > 0, "the image is still there");
  t.is((await other.run(["rmi", `${IMAGE}:test`])).code, 0);
  t.true(await until(() => names().length === 0));
});
