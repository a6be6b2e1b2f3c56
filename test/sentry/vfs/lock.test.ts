import test from "ava";
import fc from "fast-check";
import { EAGAIN } from "../../../sentry/abi/errno.ts";
import { O_CREAT, O_RDWR } from "../../../sentry/abi/file.ts";
import { HostFs } from "../../../sentry/fs/host.ts";
import { tmpfs } from "../../../sentry/fs/tmpfs.ts";
import type { Inode } from "../../../sentry/vfs/inode.ts";
import {
  conflictingRecord,
  F_RDLCK,
  F_WRLCK,
  flock,
  LOCK_EX,
  LOCK_SH,
  LOCK_UN,
  lockRecord,
  lockWaiters,
  releaseRecords,
  unlockRecord,
} from "../../../sentry/vfs/lock.ts";
import type { OpenFile } from "../../../sentry/vfs/open-file.ts";
import { POLLIN } from "../../../sentry/vfs/poll.ts";
import { Guest, ok, scratch } from "../fs/fixture.ts";

interface Side {
  readonly fs: HostFs;
  readonly file: OpenFile;
  readonly inode: Inode;
}

function locked() {
  const directory = scratch();
  const fs = tmpfs({ dirfd: directory.dirfd() });
  const g = new Guest(fs);
  g.write("/f", "");
  const done = () => {
    fs.release();
    directory.done();
  };
  return { g, inode: g.inode("/f"), done };
}

test("flock shares, excludes, and ends with the last descriptor", (t) => {
  const { g, inode, done } = locked();
  const one = ok(g.open("/f", O_RDWR));
  const two = ok(g.open("/f", O_RDWR | O_CREAT));
  t.is(flock(one, inode, LOCK_SH), undefined);
  t.is(flock(two, inode, LOCK_SH), undefined);
  t.is(flock(one, inode, LOCK_EX), EAGAIN);
  t.is(flock(two, inode, LOCK_UN), undefined);
  t.is(flock(one, inode, LOCK_EX), undefined);
  t.is(flock(two, inode, LOCK_SH), EAGAIN);
  let woken = 0;
  lockWaiters(inode).subscribe(POLLIN, () => woken++);
  one.close();
  t.is(woken, 1);
  t.is(flock(two, inode, LOCK_SH), undefined);
  two.close();
  done();
});

test("closing any descriptor of a file gives up the table's record locks on it", (t) => {
  const { g, inode, done } = locked();
  const table = {};
  const file = ok(g.open("/f", O_RDWR));
  lockRecord(inode, { owner: table, pid: 1, type: F_WRLCK, start: 0, end: 10 }, file);
  const other = ok(g.open("/f", O_RDWR));
  other.closedIn(table);
  other.close();
  t.is(conflictingRecord(inode, { owner: {}, pid: 2, type: F_WRLCK, start: 0, end: 1 }), undefined);
  file.close();
  done();
});

test("record locks agree with a model that keeps one owner per byte", (t) => {
  const owners = [{}, {}, {}];
  const call = fc.record({
    owner: fc.nat(2),
    type: fc.constantFrom("read", "write", "unlock"),
    start: fc.nat(12),
    length: fc.integer({ min: 1, max: 6 }),
  });
  fc.assert(
    fc.property(fc.array(call, { maxLength: 30 }), (calls) => {
      const { g, inode, done } = locked();
      const file = ok(g.open("/f", O_RDWR));
      const bytes = Array.from({ length: 20 }, () => new Map<number, string>());
      for (const { owner, type, start, length } of calls) {
        const range = bytes.slice(start, start + length);
        if (type === "unlock") {
          unlockRecord(inode, owners[owner] as object, start, start + length);
          for (const held of range) held.delete(owner);
          continue;
        }
        const refused = range.some((held) =>
          [...held].some(
            ([other, kind]) => other !== owner && (kind === "write" || type === "write"),
          ),
        );
        const wanted = {
          owner: owners[owner] as object,
          pid: owner,
          type: type === "read" ? F_RDLCK : F_WRLCK,
          start,
          end: start + length,
        } as const;
        const result = lockRecord(inode, wanted, file);
        t.is(result, refused ? EAGAIN : undefined);
        if (!refused) for (const held of range) held.set(owner, type);
      }
      for (const owner of owners) releaseRecords(inode, owner);
      const all = { owner: {}, pid: 9, type: F_WRLCK, start: 0, end: 20 } as const;
      t.is(conflictingRecord(inode, all), undefined);
      file.close();
      done();
    }),
    { numRuns: 100 },
  );
});

test("two containers that share a directory of the host respect each other's locks", (t) => {
  const directory = scratch();
  const [one, two] = [0, 1].map(() => {
    const fs = new HostFs({ dirfd: directory.dirfd() });
    const g = new Guest(fs);
    g.write("/f", "");
    return { fs, file: ok(g.open("/f", O_RDWR)), inode: g.inode("/f") };
  }) as [Side, Side];
  const lock = (side: Side, start: number) =>
    lockRecord(
      side.inode,
      { owner: side, pid: 1, type: F_WRLCK, start, end: start + 10 },
      side.file,
    );
  t.is(lock(one, 0), undefined);
  t.is(lock(two, 5), EAGAIN);
  t.is(lock(two, 10), undefined);
  const wanted = { owner: two, pid: 1, type: F_WRLCK, start: 0, end: 1 } as const;
  t.like(conflictingRecord(two.inode, wanted, two.file), { start: 0, end: 10, pid: -1 });
  releaseRecords(one.inode, one);
  t.is(conflictingRecord(two.inode, wanted, two.file), undefined);
  t.is(flock(one.file, one.inode, LOCK_EX), undefined);
  t.is(flock(two.file, two.inode, LOCK_SH), EAGAIN);
  t.is(flock(one.file, one.inode, LOCK_UN), undefined);
  t.is(flock(two.file, two.inode, LOCK_SH), undefined);
  for (const { fs, file, inode } of [one, two]) {
    releaseRecords(inode, two);
    file.close();
    fs.release();
  }
  directory.done();
});
