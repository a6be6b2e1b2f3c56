import test from "ava";
import fc from "fast-check";
import { StatArm64, StatX86, Statx } from "../../../sentry/abi/structs.ts";
import { encodeStat, encodeStatx } from "../../../sentry/syscalls/stat-layout.ts";

const u32 = fc.nat(0xffffffff);
const big = fc.maxSafeNat();
const ns = fc.bigInt(-4_000_000_000_000_000_000n, 4_000_000_000_000_000_000n);
const stat = fc.record({
  dev: u32,
  ino: big,
  mode: fc.nat(0xffff),
  nlink: fc.nat(65000),
  uid: u32,
  gid: u32,
  rdev: u32,
  size: big,
  blksize: fc.constant(4096),
  blocks: big,
  atimeNs: ns,
  mtimeNs: ns,
  ctimeNs: ns,
  btimeNs: ns,
});

const join = ({ sec, nsec }: { readonly sec: number; readonly nsec: number }) =>
  BigInt(sec) * 1_000_000_000n + BigInt(nsec);

for (const [isa, layout] of [
  ["x86_64", StatX86],
  ["arm64", StatArm64],
] as const) {
  test(`what stat(2) writes for ${isa} is what its structure says`, (t) => {
    fc.assert(
      fc.property(stat, (value) => {
        const bytes = encodeStat(isa, value);
        t.is(bytes.length, layout.size);
        const { atime, mtime, ctime, ...parsed } = layout.parse(bytes);
        t.deepEqual(
          [join(atime), join(mtime), join(ctime)],
          [value.atimeNs, value.mtimeNs, value.ctimeNs],
        );
        t.true(mtime.nsec >= 0 && mtime.nsec < 1_000_000_000);
        t.like(parsed, {
          dev: value.dev,
          ino: value.ino,
          mode: value.mode,
          nlink: value.nlink,
          uid: value.uid,
          gid: value.gid,
          rdev: value.rdev,
          size: value.size,
          blocks: value.blocks,
        });
      }),
    );
  });
}

test("statx(2) splits device numbers and adds the birth time", (t) => {
  fc.assert(
    fc.property(stat, (value) => {
      const parsed = Statx.parse(encodeStatx(value, { id: 7, isRoot: true }));
      t.is(join({ ...parsed.btime }), value.btimeNs);
      t.is(parsed.ino, value.ino);
      t.is(parsed.mntId, 7);
      t.is(parsed.attributes, 0x2000);
      t.is(parsed.devMajor, (value.dev >>> 8) & 0xfff);
    }),
  );
});
