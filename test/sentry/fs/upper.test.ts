import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import test from "ava";
import { Errno } from "../../../sentry/abi/errno.ts";
import { overlay, UpperLayerError } from "../../../sentry/fs/overlay.ts";
import { call } from "../../../sentry/host/call.ts";
import { HOST_O, openHostPath } from "../../../sentry/host/fs.ts";
import { dump, Guest, ok, scratch, shape } from "./fixture.ts";
import { LOWER, lowerOf } from "./lower-fixture.ts";
import { perform, sampleCalls } from "./operations.ts";

const WRITER = fileURLToPath(new URL("./crash-writer.js", import.meta.url));

function open(directory: string) {
  const upper = join(directory, "upper");
  mkdirSync(upper, { recursive: true });
  const dirfd = ok(openHostPath(upper, HOST_O.PATH | HOST_O.DIRECTORY));
  const fs = overlay({ lower: lowerOf(LOWER, directory), dirfd });
  return { fs, guest: new Guest(fs), upper };
}

/** Runs the writer and kills it once it has said that `calls` calls are done. @returns the last it said. */
async function killedAfter(directory: string, seed: number, calls: number): Promise<number> {
  const child = spawn(process.execPath, [WRITER, directory, String(seed)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let last = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    last = Number(line);
    if (last === calls) child.kill("SIGKILL");
  }
  return last;
}

for (const [seed, calls] of [
  [1, 1],
  [2, 90],
  [3, 700],
] as const) {
  test(`killed with SIGKILL after about ${calls} calls, the tree is the one after the last call`, async (t) => {
    const directory = scratch();
    const model = scratch();
    mkdirSync(join(directory.path, "upper"));
    const done = await killedAfter(directory.path, seed, calls);
    t.true(done >= calls);
    const after = open(directory.path);
    const expected = open(model.path);
    const series = sampleCalls(seed);
    for (const each of series.slice(0, done)) perform(expected.guest, each);
    const candidates = [shape(expected.guest)];
    const next = series[done];
    if (next !== undefined) perform(expected.guest, next);
    candidates.push(shape(expected.guest));
    t.true(candidates.includes(shape(after.guest)));
    after.fs.release();
    expected.fs.release();
    directory.done();
    model.done();
  });
}

const RLIMIT_FSIZE = 1;
const UNLIMITED = 0xffff_ffff_ffff_ffffn;

/** Lets no host file grow beyond `bytes` while `body` runs: the host then refuses as a full disk does. */
function withFileLimit(bytes: number, body: () => void): void {
  const ignore = () => {};
  process.on("SIGXFSZ", ignore);
  const limit = (soft: bigint) =>
    ok(call("prlimit64", 0, RLIMIT_FSIZE, new BigUint64Array([soft, UNLIMITED]), null));
  limit(BigInt(bytes));
  try {
    body();
  } finally {
    limit(UNLIMITED);
    process.off("SIGXFSZ", ignore);
  }
}

test.serial("a journal that cannot grow fails the call and changes nothing", (t) => {
  const directory = scratch();
  const { fs, guest, upper } = open(directory.path);
  guest.write("/kept", "kept");
  const before = dump(guest);
  const journal = join(upper, "journal");
  const size = statSync(journal).size;
  // Room for a part of a record, so that a torn one has to be taken back.
  withFileLimit(size + 20, () => {
    t.true(guest.mkdir("/new") instanceof Errno);
    t.true(guest.rename("/kept", "/moved") instanceof Errno);
    t.true(guest.unlink("/kept") instanceof Errno);
    t.true(guest.write("/made", "") instanceof Errno);
    t.true(guest.link("/kept", "/second") instanceof Errno);
  });
  t.is(statSync(journal).size, size);
  t.deepEqual(dump(guest), before);
  t.is(guest.mkdir("/new"), undefined);
  const expected = dump(guest);
  fs.release();
  const again = open(directory.path);
  t.deepEqual(dump(again.guest), expected);
  again.fs.release();
  directory.done();
});

test.serial("a copy-up for which there is no room fails and leaves no blob", (t) => {
  const directory = scratch();
  const { fs, guest, upper } = open(directory.path);
  const before = dump(guest);
  withFileLimit(4, () => {
    t.true(guest.write("/b", "x", 0o2001) instanceof Errno);
  });
  t.deepEqual(dump(guest), before);
  t.deepEqual(readdirSync(join(upper, "blobs")), []);
  fs.release();
  directory.done();
});

test.serial("a directory with a foreign journal is refused, and nothing stays open", (t) => {
  const directory = scratch();
  const before = readdirSync("/proc/self/fd").length;
  mkdirSync(join(directory.path, "upper"));
  writeFileSync(join(directory.path, "upper", "journal"), "something else entirely");
  const error = t.throws(() => open(directory.path), { instanceOf: UpperLayerError });
  t.is(error.code, "UPPER_LAYER");
  t.is(readdirSync("/proc/self/fd").length, before);
  directory.done();
});

test("garbage at the end of a journal is cut off", (t) => {
  const directory = scratch();
  const first = open(directory.path);
  first.guest.mkdir("/new");
  const expected = dump(first.guest);
  first.fs.release();
  const journal = join(directory.path, "upper", "journal");
  const size = statSync(journal).size;
  writeFileSync(journal, Buffer.alloc(1000, 0xff), { flag: "a" });
  const second = open(directory.path);
  t.deepEqual(dump(second.guest), expected);
  t.is(statSync(journal).size, size);
  second.fs.release();
  directory.done();
});
