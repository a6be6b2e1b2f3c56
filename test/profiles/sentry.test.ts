import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { encodePathRule, encodeRuleset, sentryConfinement } from "../../profiles/linux/sentry.ts";
import { asOrdinaryUser, ORDINARY_ID, publicCopy, scratchFolder } from "./confine-program.ts";

const child = fileURLToPath(new URL("./confine-sentry-child.js", import.meta.url));

function prepare(t: ExecutionContext): string {
  const folder = scratchFolder(t);
  for (const name of ["store", "store/sub", "run", "ro"]) {
    mkdirSync(`${folder}/${name}`);
    if (process.getuid?.() === 0) chownSync(`${folder}/${name}`, ORDINARY_ID, ORDINARY_ID);
  }
  for (const name of ["store/a", "ro-file", "secret"]) {
    writeFileSync(`${folder}/${name}`, "text");
    chmodSync(`${folder}/${name}`, 0o644);
  }
  return folder;
}

function confinedOutcomes(t: ExecutionContext, words: readonly string[]): unknown {
  const program = publicCopy(t, "dd-confine-test");
  const [command = "", ...rest] = [...words, process.execPath, child, prepare(t), program];
  const { stdout, stderr } = spawnSync(command, rest, { encoding: "utf8" });
  t.is(stderr, "");
  return JSON.parse(stdout);
}

const OUTCOMES = {
  "read of the store": "ok",
  "write to the store": "ok",
  "rename within the store": "ok",
  "socket in the run directory": "ok",
  "read of a read-only bind": "ok",
  "read of a read-only file": "ok",
  "write to a read-only bind": "EACCES",
  "truncation of a read-only file": "EACCES",
  "read beside the store": "EACCES",
  "list of the parent folder": "EACCES",
  "read of /etc/passwd": "EACCES",
  "read of /etc/passwd by another thread": "EACCES",
  "threads outside of the domain": "0",
  "use of the null device": "ok",
  "environment of another process": "EACCES",
  "threads with other capabilities": "0",
  "start of a listed program": "ok",
  "start of another program": "EACCES",
  "change of mounts": "EPERM (Operation not permitted)",
};

test("a sentry that has confined itself opens what its profile lists and nothing else", (t) => {
  t.deepEqual(confinedOutcomes(t, []), OUTCOMES);
});

if (process.getuid?.() === 0) {
  test("the same holds for an ordinary user's sentry", (t) => {
    t.deepEqual(confinedOutcomes(t, asOrdinaryUser()), OUTCOMES);
  });
}

test("the sentry's ruleset handles every file right and grants no device node", (t) => {
  const { ruleset, grants } = sentryConfinement({ store: ["/s"], "read-only": ["/r"] });
  t.is(ruleset.handledFilesystem, 0xffff);
  const store = grants.find(({ path }) => path === "/s");
  const readOnly = grants.find(({ path }) => path === "/r");
  t.deepEqual(readOnly, { path: "/r", directoryRights: 0b1100, fileRights: 0b100 });
  // MAKE_CHAR, MAKE_BLOCK and EXECUTE are never part of writing.
  t.is((store?.directoryRights ?? 0) & ((1 << 6) | (1 << 11) | 1), 0);
});

test("Landlock's structs are encoded as the kernel reads them", (t) => {
  const ruleset = encodeRuleset({
    abi: 6,
    handledFilesystem: 0xffff,
    handledNetwork: 3,
    scoped: 1,
  });
  t.is(
    Buffer.from(ruleset).toString("hex"),
    `ffff${"00".repeat(6)}03${"00".repeat(7)}01${"00".repeat(7)}`,
  );
  t.is(Buffer.from(encodePathRule(0x8002, 5)).toString("hex"), `0280${"00".repeat(6)}05000000`);
});
