import test from "ava";
import { ENOSPC } from "../../../sentry/abi/errno.ts";
import { O_CREAT, O_DIRECTORY, O_RDWR, O_TMPFILE } from "../../../sentry/abi/file.ts";
import { tmpfs } from "../../../sentry/fs/tmpfs.ts";
import { fsContract } from "./contract.ts";
import { Guest, ioBuffer, ok, scratch } from "./fixture.ts";

fsContract(test, "tmpfs", () => {
  const directory = scratch();
  return { fs: tmpfs({ dirfd: directory.dirfd(), mode: 0o755 }), done: directory.done };
});

test("a tmpfs with a size refuses bytes beyond it and has room again after unlink", (t) => {
  const directory = scratch();
  const fs = tmpfs({ dirfd: directory.dirfd(), size: 10_000 });
  const g = new Guest(fs);
  const file = ok(g.open("/a", O_CREAT | O_RDWR));
  t.is(file.write(ioBuffer(Buffer.alloc(9000))), 9000);
  t.is(file.write(ioBuffer(Buffer.alloc(2000))), 1000);
  t.is(file.write(ioBuffer(Buffer.alloc(2000))), ENOSPC);
  t.is(file.truncate(9000), undefined);
  t.is(file.truncate(11_000), ENOSPC);
  t.false(ok(file.backing()).direct);
  t.is(g.write("/b", "x".repeat(1000)), undefined);
  t.is(g.write("/c", "y"), ENOSPC);
  file.close();
  g.unlink("/a");
  t.is(g.write("/c", "y".repeat(5000)), undefined);
  fs.release();
  directory.done();
});

test("a tmpfs leaves nothing in its host directory", (t) => {
  const directory = scratch();
  const fs = tmpfs({ dirfd: directory.dirfd() });
  const g = new Guest(fs);
  for (let i = 0; i < 20; i++) g.write(`/f${i}`, "x");
  fs.release();
  const again = tmpfs({ dirfd: directory.dirfd() });
  t.deepEqual(new Guest(again).list("/"), []);
  again.release();
  directory.done();
});

test("O_TMPFILE makes a file without a name that link gives one", (t) => {
  const directory = scratch();
  const fs = tmpfs({ dirfd: directory.dirfd() });
  const g = new Guest(fs);
  const file = ok(g.open("/", O_TMPFILE | O_DIRECTORY | O_RDWR, 0o600));
  ok(file.write(ioBuffer(Buffer.from("late"))));
  t.is(ok(file.stat()).nlink, 0);
  t.deepEqual(g.list("/"), []);
  fs.release();
  directory.done();
});
