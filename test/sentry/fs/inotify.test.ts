import test from "ava";
import { EAGAIN, EINVAL } from "../../../sentry/abi/errno.ts";
import { O_CREAT, O_RDONLY, O_WRONLY } from "../../../sentry/abi/file.ts";
import { InotifyFile } from "../../../sentry/fs/inotify.ts";
import { tmpfs } from "../../../sentry/fs/tmpfs.ts";
import { POLLIN } from "../../../sentry/vfs/poll.ts";
import { Guest, ioBuffer, ok, scratch } from "./fixture.ts";

const IN_ALL_EVENTS = 0xfff;

function watched() {
  const directory = scratch();
  const fs = tmpfs({ dirfd: directory.dirfd() });
  const guest = new Guest(fs);
  guest.mkdir("/d");
  const inotify = new InotifyFile(O_RDONLY, { uid: 0, gid: 0 });
  const done = () => {
    inotify.close();
    fs.release();
    directory.done();
  };
  return { guest, inotify, done };
}

/** All waiting events as `mask name`. */
function events(inotify: InotifyFile): string[] {
  const bytes = Buffer.alloc(4096);
  const count = inotify.read(ioBuffer(bytes));
  if (typeof count !== "number") return [];
  const out: string[] = [];
  for (let at = 0; at < count; at += 16 + bytes.readUInt32LE(at + 12)) {
    const length = bytes.readUInt32LE(at + 12);
    const name = bytes.toString("latin1", at + 16, at + 16 + length).replaceAll("\0", "");
    out.push(`${bytes.readUInt32LE(at + 4).toString(16)} ${name}`.trim());
  }
  return out;
}

test("a watched directory tells of what happens in it", (t) => {
  const { guest, inotify, done } = watched();
  inotify.add(guest.inode("/d"), IN_ALL_EVENTS & ~0x20 & ~0x10);
  guest.write("/d/f", "x", O_WRONLY | O_CREAT);
  t.deepEqual(events(inotify), ["100 f", "2 f", "8 f"]);
  guest.rename("/d/f", "/d/g");
  t.deepEqual(events(inotify), ["40 f", "80 g"]);
  guest.unlink("/d/g");
  t.deepEqual(events(inotify), ["200 g"]);
  guest.mkdir("/d/sub");
  t.deepEqual(events(inotify), ["40000100 sub"]);
  done();
});

test("a watch ends with its file", (t) => {
  const { guest, inotify, done } = watched();
  guest.write("/f", "x");
  inotify.add(guest.inode("/f"), 0x400);
  guest.unlink("/f");
  t.deepEqual(events(inotify), ["400", "8000"]);
  t.is(inotify.remove(1), EINVAL);
  done();
});

test("reading waits for an event and needs room for it", (t) => {
  const { guest, inotify, done } = watched();
  t.is(inotify.read(ioBuffer(Buffer.alloc(64))), EAGAIN);
  t.is(inotify.poll(), 0);
  let woken = 0;
  inotify.subscribe(POLLIN, () => woken++);
  inotify.add(guest.inode("/d"), IN_ALL_EVENTS);
  guest.mkdir("/d/a");
  t.is(woken, 1);
  t.is(inotify.poll() & POLLIN, POLLIN);
  t.is(inotify.read(ioBuffer(Buffer.alloc(8))), EINVAL);
  t.deepEqual(events(inotify), ["40000100 a"]);
  done();
});

test("a queue that nobody reads overflows once", (t) => {
  const { guest, inotify, done } = watched();
  const descriptor = ok(inotify.add(guest.inode("/d"), IN_ALL_EVENTS));
  for (let i = 0; i < 17000; i++) inotify.queue(descriptor, 0x100, i, "");
  let seen: string[] = [];
  for (let batch = events(inotify); batch.length > 0; batch = events(inotify)) seen = batch;
  t.is(seen.at(-1), "4000");
  done();
});
