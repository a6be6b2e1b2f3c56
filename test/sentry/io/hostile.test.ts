import { readdirSync } from "node:fs";
import test from "ava";
import { SIGUSR1 } from "../../../sentry/abi/signal.ts";
import { sendToTask } from "../../../sentry/kernel/send-signal.ts";
import { sentBy } from "../../../sentry/kernel/siginfo.ts";
import { Guest, TABLE } from "./guest.ts";

/** Calls per run; each run begins with fresh descriptors. */
const CALLS = 1500;
const RUNS = 12;

test("whatever a guest passes, a call answers or waits, and a signal ends every wait", (t) => {
  const counts = new Map<string, number>();
  const before = readdirSync("/proc/self/fd").length;
  for (let run = 1; run <= RUNS; run++) {
    let state = run * 7919;
    const random = (n: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * n);
    };
    const guest = new Guest({ network: { mode: "bridge" } });
    guest.handle(SIGUSR1);
    guest.ignore(13, 1);
    const rows = [...TABLE.keys()].filter((name) => name !== "close_range");
    const memory = guest.alloc(1 << 16);
    const registers = [
      () => random(24),
      () => random(24),
      () => memory + random(1 << 12) * 8,
      () => memory + random(1 << 16),
      () => random(256),
      () => random(70_000),
      () => -1 - random(5),
      () => 2 ** random(48),
      () => 0,
      () => [0x5401, 0x5402, 0x541b, 0x5421, 0x8912, 0x8927, 0x5413, 0o4000][random(8)] ?? 0,
    ];
    const fill = () => {
      // Small numbers, addresses and descriptors make structures that get past the first checks.
      for (let i = 0; i < 64; i++) {
        const word = BigInt.asUintN(64, BigInt(Math.trunc(registers[random(10)]?.() ?? 0)));
        const bytes = new Uint8Array(BigUint64Array.of(word).buffer);
        guest.memory.copyOut(memory + random(1 << 11) * 8, bytes);
      }
    };
    for (let i = 0; i < 3; i++) guest.pipe(0o4000);
    for (const family of [1, 2, 10]) {
      for (const type of [1, 2]) guest.call("socket", family, type, 0);
    }
    guest.call("socketpair", 1, 1, 0, memory);
    guest.call("epoll_create1", 0);
    guest.call("eventfd2", 1, 0);
    for (let call = 0; call < CALLS; call++) {
      if (call % 10 === 0) fill();
      const name = rows[random(rows.length)] ?? "read";
      const args = Array.from({ length: 6 }, () => Math.trunc(registers[random(10)]?.() ?? 0));
      if (name === "close" && random(4) > 0) continue;
      let result = guest.call(name, ...args);
      if (result === "parked") {
        sendToTask(guest.task, sentBy(SIGUSR1, 0, 1, 0));
        guest.reactor.turn(0);
        result = guest.result ?? "still parked";
      }
      if (result === "still parked") t.fail(`${name}(${args.join(", ")}) does not end`);
      counts.set(name, (counts.get(name) ?? 0) + (typeof result === "number" ? 1 : 0));
      if (call % 16 === 0) guest.reactor.turn(0);
    }
    guest.task.files.leave();
    guest.reactor.turn(0);
    guest.task.fs.root.mount.fs.release();
    guest.reactor.close();
  }
  const successes = [...counts.values()].reduce((sum, count) => sum + count, 0);
  t.true(successes > RUNS * 50, `${successes} calls succeed`);
  t.is(readdirSync("/proc/self/fd").length, before);
});
