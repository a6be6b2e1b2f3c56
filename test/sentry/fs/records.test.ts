import test from "ava";
import fc from "fast-check";
import type { Change } from "../../../sentry/fs/tree/changes.ts";
import { decodeChanges, encodeChanges } from "../../../sentry/fs/upper/records.ts";

const bytes = fc.uint8Array({ maxLength: 40 });
const name = bytes.map((each) => Buffer.from(each).toString("latin1"));
const ino = fc.maxSafeNat();
const u32 = fc.nat(0xffffffff);
const ns = fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n);
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant("link" as const), parent: ino, name, ino, timeNs: ns }),
  fc.record({
    kind: fc.constant("unlink" as const),
    parent: ino,
    name,
    whiteout: fc.boolean(),
    timeNs: ns,
  }),
  fc.record({ kind: fc.constant("drop" as const), ino }),
  fc.record({
    kind: fc.constant("inode" as const),
    ino,
    mode: u32,
    uid: u32,
    gid: u32,
    rdev: u32,
    nlink: u32,
    atimeNs: ns,
    mtimeNs: ns,
    ctimeNs: ns,
    btimeNs: ns,
    blob: fc.boolean(),
    origin: fc.option(name, { nil: undefined }),
    target: name,
    xattrs: fc.array(fc.tuple(name, bytes), { maxLength: 3 }).map((pairs) => new Map(pairs)),
  }),
);

test("changes survive being bytes", (t) => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 8 }), (changes) => {
      t.deepEqual(decodeChanges(encodeChanges(changes)), changes);
    }),
  );
});

test("bytes that nobody wrote are refused, never misread into a crash", (t) => {
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), fc.nat(), (changes, where) => {
      const encoded = encodeChanges(changes);
      const cut = encoded.subarray(0, 1 + (where % encoded.length));
      const decoded = decodeChanges(cut);
      t.true(decoded === undefined || decoded.length <= changes.length);
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (garbage) => {
      const decoded = decodeChanges(garbage);
      t.true(decoded === undefined || decoded.length <= garbage.length);
    }),
  );
});
