import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { launcherPath } from "../../../sentry/machine/launcher.ts";
import { startMaking } from "../../../sentry/translations/make.ts";
import { Refused, type Source, Store } from "../../../sentry/translations/store-file.ts";

const PAGE = 4096;
const BUILD_AT = 16;
const BUILD_BYTES = 20;
/** `add x0, x0, #1`, and `ret`. */
const CODE = [0x91000400, 0xd65f03c0];
const LAYER = "0123456789abcdef".repeat(4);
const PLACES = [0, 16, 2048, 1 << 30];

interface Setting {
  readonly store: Store;
  readonly directory: string;
  readonly source: Source;
  readonly body: Uint8Array;
  readonly build: Uint8Array;
  /** The store file. */
  readonly path: string;
}

/** A source, what was made of it, and a store that has it; all removed after the test. */
function setting(t: ExecutionContext): Setting {
  const base = mkdtempSync(join(tmpdir(), "dd-test-"));
  const bytes = Buffer.alloc(PAGE);
  for (let at = 0; at < PAGE; at += 4) bytes.writeUInt32LE(CODE[(at / 4) % 2] ?? 0, at);
  writeFileSync(join(base, "source"), bytes);
  const fd = openSync(join(base, "source"), "r");
  t.teardown(() => {
    closeSync(fd);
    rmSync(base, { recursive: true, force: true });
  });
  const source = { identity: `${LAYER}-0-${PAGE.toString(16)}`, fd, offset: 0, size: PAGE };
  const body = startMaking(launcherPath("arm64"), source, PLACES)?.wait();
  if (body === undefined) throw new Error("Nothing was made");
  const build = body.subarray(BUILD_AT, BUILD_AT + BUILD_BYTES);
  const directory = join(base, "translations");
  const store = new Store(directory);
  store.write(source, build, body);
  return { store, directory, source, body, build, path: join(directory, source.identity) };
}

/** Opens it anew, as another process would. */
function reopen({ directory, source, build }: Setting): readonly number[] | undefined {
  const stored = new Store(directory).open(source, build);
  if (stored !== undefined) closeSync(stored.fd);
  return stored?.pcs;
}

function refuses(t: ExecutionContext, given: Setting, why: RegExp): void {
  t.throws(() => reopen(given), { instanceOf: Refused, message: why });
}

test("what was made is found again, with the places it was made for, by its user alone", (t) => {
  const given = setting(t);
  t.deepEqual([...(reopen(given) ?? [])].sort(), [...PLACES].sort());
  t.is(statSync(given.path).mode & 0o777, 0o600);
  t.is(statSync(given.directory).mode & 0o777, 0o700);
  t.is(statSync(join(given.directory, "key")).mode & 0o777, 0o600);
  t.deepEqual(readdirSync(given.directory).sort(), [given.source.identity, "key"].sort());
});

test("the same bytes and places make the same translations, byte for byte", (t) => {
  const { body, source } = setting(t);
  const again = startMaking(launcherPath("arm64"), source, PLACES)?.wait();
  t.is(Buffer.compare(body, again ?? new Uint8Array()), 0);
});

test("one changed byte, wherever it is, has the file refused and removed", (t) => {
  const given = setting(t);
  const good = readFileSync(given.path);
  const step = Math.max(1, Math.floor(good.length / 40));
  for (let at = 0; at < good.length; at += step) {
    const bad = Buffer.from(good);
    bad[at] = (bad[at] ?? 0) ^ 1;
    writeFileSync(given.path, bad, { mode: 0o600 });
    refuses(t, given, /changed/);
    t.is(reopen(given), undefined);
  }
  writeFileSync(given.path, good, { mode: 0o600 });
  t.not(reopen(given), undefined);
});

test("a file that is cut off or has grown is refused", (t) => {
  const given = setting(t);
  const good = readFileSync(given.path);
  for (const length of [0, 10, 60, good.length - 1]) {
    writeFileSync(given.path, good, { mode: 0o600 });
    truncateSync(given.path, length);
    refuses(t, given, /cut off|changed/);
  }
  writeFileSync(given.path, Buffer.concat([good, Buffer.alloc(1)]), { mode: 0o600 });
  refuses(t, given, /changed/);
});

test("translations of another program are refused", (t) => {
  const given = setting(t);
  const other = Uint8Array.from(given.build, (byte) => byte ^ 0xff);
  refuses(t, { ...given, build: other }, /another version/);
  t.throws(() => given.store.write(given.source, other, given.body), { instanceOf: Refused });
});

test("another file's translations are refused under this one's name", (t) => {
  const given = setting(t);
  const identity = `${LAYER}-1000-${PAGE.toString(16)}`;
  copyFileSync(given.path, join(given.directory, identity));
  refuses(t, { ...given, source: { ...given.source, identity } }, /another file's/);
  t.not(reopen(given), undefined);
});

test("without the user's key nothing is accepted", (t) => {
  const given = setting(t);
  writeFileSync(join(given.directory, "key"), Buffer.alloc(32, 1), { mode: 0o600 });
  refuses(t, given, /changed/);
});

test("a file that others may read, or a link to one, is not accepted", (t) => {
  const given = setting(t);
  chmodSync(given.path, 0o644);
  refuses(t, given, /alone/);
  given.store.write(given.source, given.build, given.body);
  const elsewhere = join(given.directory, "elsewhere");
  renameSync(given.path, elsewhere);
  symlinkSync(elsewhere, given.path);
  t.is(reopen(given), undefined);
});

test("names that are no identity are no paths", (t) => {
  const given = setting(t);
  for (const identity of ["../x", "key", `${LAYER}-0`, `${LAYER}-0-0/..`]) {
    t.throws(() => given.store.open({ ...given.source, identity }, given.build), {
      message: /identity/,
    });
  }
});

test("bytes that are no code, and places that make no sense, harm nobody", (t) => {
  const given = setting(t);
  const noise = join(given.directory, "noise");
  let state = 1;
  const bytes = Buffer.from(
    Array.from({ length: 4 * PAGE }, () => {
      state = (state * 1103515245 + 12345) % 2 ** 31;
      return state >> 16;
    }),
  );
  writeFileSync(noise, bytes);
  const fd = openSync(noise, "r");
  t.teardown(() => closeSync(fd));
  const source = { ...given.source, fd, size: bytes.length };
  const places = Array.from({ length: 3000 }, (_, i) => ((i * 2654435761) % 2 ** 32) >>> 0);
  const body = startMaking(launcherPath("arm64"), source, places)?.wait();
  t.true(body === undefined || body.length > 0);
  // A size that the file does not have: its process dies, and says nothing.
  const beyond = { ...given.source, size: 64 * PAGE };
  t.is(startMaking(launcherPath("arm64"), beyond, [32 * PAGE])?.wait(), undefined);
});

test("a store that is full loses what was not used for longest", (t) => {
  const { store, directory, source, build, body } = setting(t);
  const nameOf = (number: number) => `${LAYER}-${number}000-1000`;
  // Sizes without contents, older and older: they are more than a gibibyte.
  for (const number of [1, 2, 3]) {
    const path = join(directory, nameOf(number));
    writeFileSync(path, "");
    truncateSync(path, 360 << 20);
    utimesSync(path, 1_000_000 - number, 1_000_000 - number);
  }
  store.write(source, build, body);
  const left = [source.identity, nameOf(1), nameOf(2), "key"];
  t.deepEqual(readdirSync(directory).sort(), left.sort());
});
