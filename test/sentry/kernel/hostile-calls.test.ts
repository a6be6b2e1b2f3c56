import test from "ava";
import fc from "fast-check";
import { IDENTITY } from "../../../sentry/syscalls/identity.ts";
import { LIMITS } from "../../../sentry/syscalls/limits.ts";
import { PRIVILEGED } from "../../../sentry/syscalls/privileged.ts";
import { PROCESS } from "../../../sentry/syscalls/process.ts";
import { SIGNAL } from "../../../sentry/syscalls/signal.ts";
import { SYSTEM } from "../../../sentry/syscalls/system.ts";
import { THREAD } from "../../../sentry/syscalls/thread.ts";
import { TIME } from "../../../sentry/syscalls/time.ts";
import { FakeMemory, World } from "./fake-machine.ts";

const FAMILIES = { PROCESS, THREAD, SIGNAL, TIME, IDENTITY, SYSTEM, LIMITS, PRIVILEGED };

const register = fc.oneof(
  fc.constantFrom(
    0n,
    1n,
    2n,
    3n,
    8n,
    9n,
    17n,
    64n,
    88n,
    0x80000000n,
    0xffffffffn,
    (1n << 64n) - 1n,
  ),
  fc.integer({ min: 0, max: 0x2000 }).map((offset) => BigInt(FakeMemory.BASE + offset)),
  fc.constant(BigInt(FakeMemory.BASE + (1 << 18) - 4)),
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  fc.integer({ min: 0, max: 31 }).map((shift) => 1n << BigInt(shift)),
);

for (const [family, rows] of Object.entries(FAMILIES)) {
  test(`${family}: no registers and no memory make a handler throw`, (t) => {
    const call = fc.record({
      row: fc.constantFrom(...rows.map(({ name }) => name)),
      registers: fc.array(register, { minLength: 6, maxLength: 6 }),
      memory: fc.uint8Array({ minLength: 64, maxLength: 256 }),
    });
    fc.assert(
      fc.property(fc.array(call, { minLength: 1, maxLength: 12 }), (calls) => {
        const world = new World({ maxTasks: 24 });
        const shared = world.fork(world.init);
        for (const { row, registers, memory } of calls) {
          // A caller that waits or has ended is followed by its sibling.
          const caller = world.fork(world.init);
          caller.memory.bytes.fill(0, 0, 0x3000);
          for (let at = 0; at < 0x2000; at += 256) caller.memory.bytes.set(memory, at);
          caller.call(row, ...registers);
          world.reactor.advance(20_000_000n);
          world.init.call("kill", caller.task.process.pid, 9);
          world.settle();
          world.init.call("wait4", caller.task.process.pid, 0, 0x4000_0001, 0);
          world.settle();
        }
        return shared.task.tid === 2;
      }),
      { numRuns: 150 },
    );
    t.pass();
  });
}
