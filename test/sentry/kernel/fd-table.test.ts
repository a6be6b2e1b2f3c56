import test from "ava";
import fc from "fast-check";
import { EBADF, EMFILE, Errno } from "../../../sentry/abi/errno.ts";
import { FdTable } from "../../../sentry/kernel/fd-table.ts";
import { collectRows, SYSCALLS, SYSCALLS_BY_NUMBER } from "../../../sentry/syscalls/table.ts";
import { MemoryFile } from "./host-program.ts";

const file = () => new MemoryFile(new Uint8Array(0), false);
const LIMIT = 64;

test("install gives the lowest free number, EMFILE at the limit", (t) => {
  const table = new FdTable();
  t.is(table.install(file(), { cloexec: false, limit: 3 }), 0);
  t.is(table.install(file(), { cloexec: false, limit: 3 }), 1);
  t.is(table.install(file(), { cloexec: false, limit: 3 }), 2);
  t.is(table.install(file(), { cloexec: false, limit: 3 }), EMFILE);
  table.close(1);
  t.is(table.install(file(), { cloexec: false, limit: 3, min: 2 }), EMFILE);
  t.is(table.install(file(), { cloexec: false, limit: 3 }), 1);
  t.is(table.close(7), EBADF);
  t.is(table.set(3, file(), false, 3), EBADF);
});

test("a description is released with the last table that has it", (t) => {
  const table = new FdTable();
  const shared = file();
  table.install(shared, { cloexec: true, limit: LIMIT });
  const copy = table.copy();
  table.closeOnExec();
  t.is(table.get(0), EBADF);
  t.false(shared.closed);
  copy.share();
  copy.leave();
  t.false(shared.closed);
  copy.leave();
  t.true(shared.closed);
});

test("the table behaves as a map with a lowest free number, whatever is done to it", (t) => {
  const fd = fc.integer({ min: 0, max: 40 });
  const action = fc.oneof(
    fc.record({ kind: fc.constant("install" as const), fd: fc.integer({ min: 0, max: 8 }) }),
    fc.record({ kind: fc.constant("close" as const), fd }),
    fc.record({ kind: fc.constant("set" as const), fd }),
    fc.record({ kind: fc.constant("cloexec" as const), fd }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80 }), (actions) => {
      const table = new FdTable();
      const model = new Map<number, { file: MemoryFile; cloexec: boolean }>();
      for (const { kind, fd: number } of actions) {
        const fresh = file();
        if (kind === "install") {
          let expected = number;
          while (model.has(expected)) expected++;
          const options = { cloexec: false, limit: LIMIT, min: number };
          if (table.install(fresh, options) !== (expected < LIMIT ? expected : EMFILE))
            return false;
          if (expected < LIMIT) model.set(expected, { file: fresh, cloexec: false });
        } else if (kind === "close") {
          const had = model.get(number);
          if ((table.close(number) === undefined) !== (had !== undefined)) return false;
          if (had !== undefined && !had.file.closed) return false;
          model.delete(number);
        } else if (kind === "set") {
          const had = model.get(number);
          if (table.set(number, fresh, true, LIMIT) !== number) return false;
          if (had !== undefined && !had.file.closed) return false;
          model.set(number, { file: fresh, cloexec: true });
        } else {
          const entry = model.get(number);
          const result = table.setCloexec(number, true);
          if (result instanceof Errno === (entry !== undefined)) return false;
          if (entry !== undefined) entry.cloexec = true;
        }
      }
      const listed = [...table.entries()];
      return (
        listed.length === model.size &&
        listed.every((e) => {
          const expected = model.get(e.fd);
          return e.file === expected?.file && e.cloexec === expected?.cloexec;
        })
      );
    }),
  );
  t.pass();
});

test("two rows of one name are an error, and every row is found by its number", (t) => {
  const [row] = SYSCALLS.values();
  if (row === undefined) throw new Error("There are no rows");
  t.throws(() => collectRows([[row], [row]]), { message: /Two rows/ });
  t.is(SYSCALLS_BY_NUMBER.x86_64[39]?.name, "getpid");
  t.is(SYSCALLS_BY_NUMBER.arm64[172]?.name, "getpid");
});
