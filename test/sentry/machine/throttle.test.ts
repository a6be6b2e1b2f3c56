import test from "ava";
import type { Reactor } from "../../../sentry/host/reactor.ts";
import type { Freezer } from "../../../sentry/machine/freezer.ts";
import { Throttle } from "../../../sentry/machine/throttle.ts";

const MS = 1_000_000n;

/** A clock that is turned by hand, and a container that uses so many CPUs while it may run. */
function container(cpusWanted: number) {
  let now = 0n;
  let used = 0n;
  let frozen = false;
  let due: { at: bigint; fire: () => void } | undefined;
  const reactor = {
    now: () => now,
    at: (at: bigint, fire: () => void) => {
      due = { at, fire };
      return {
        cancel: () => {
          due = undefined;
        },
      };
    },
  } as unknown as Reactor;
  const freezer = {
    hold: () => {
      frozen = true;
    },
    release: () => {
      frozen = false;
    },
  } as unknown as Freezer;
  return {
    reactor,
    freezer,
    used: () => used,
    isFrozen: () => frozen,
    isIdle: () => due === undefined,
    run(ms: number) {
      for (let i = 0; i < ms; i++) {
        now += MS;
        if (!frozen) used += BigInt(Math.round(cpusWanted * 1_000_000));
        while (due !== undefined && due.at <= now) {
          const { fire } = due;
          due = undefined;
          fire();
        }
      }
    },
  };
}

for (const [wanted, limit] of [
  [1, 0.5],
  [2, 0.3],
  [1, 0.01],
  [4, 1.5],
] as const) {
  test(`a container that wants ${wanted} CPUs and may have ${limit} gets about that`, (t) => {
    const guest = container(wanted);
    const throttle = new Throttle(guest.reactor, guest.freezer, limit, guest.used);
    guest.run(20_000);
    const share = Number(guest.used()) / 20e9;
    t.true(share <= limit + 0.01, `${share}`);
    t.true(share >= limit * 0.9, `${share}`);
    throttle.close();
    t.false(guest.isFrozen());
    t.true(guest.isIdle());
  });
}

test("a container below its limit is never stopped, and a new limit holds at once", (t) => {
  const guest = container(0.4);
  const throttle = new Throttle(guest.reactor, guest.freezer, 0.5, guest.used);
  guest.run(5000);
  t.is(Number(guest.used()) / 5e9, 0.4);
  throttle.cpus = 0.1;
  guest.run(10_000);
  t.true(Number(guest.used()) / 1e9 < 2 + 1 + 0.2);
  throttle.close();
});
