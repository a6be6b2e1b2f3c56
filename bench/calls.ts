/** Claims about single calls: through the ring, in the executor, on the direct plane, and none at all. */
import { type Claim, main } from "./claim.ts";
import { buildCalls, callTime, leave } from "./setting.ts";

const CALL_ROUNDS = 5;

export async function claims(): Promise<readonly Claim[]> {
  buildCalls();
  const pair = (operation: string, mode: "trusted" | "untrusted") => ({
    dd: () => callTime(operation, mode),
    native: () => callTime(operation, "native"),
  });
  return [
    {
      claim: "untrusted: a trivial call through the ring takes at most 2 µs",
      unit: "ns",
      rounds: CALL_ROUNDS,
      pair: pair("ring", "untrusted"),
      idleOnly: true,
      holds: (dd) => dd <= 2_000,
    },
    {
      claim: "untrusted: a call answered in the executor takes at most 150 ns",
      unit: "ns",
      rounds: CALL_ROUNDS,
      pair: pair("local", "untrusted"),
      holds: (dd) => dd <= 150,
    },
    {
      claim: "trusted: read of 4 KiB takes at most 1.3 times as long as natively",
      unit: "ns",
      rounds: CALL_ROUNDS,
      pair: pair("read_4k", "trusted"),
      holds: (dd, native) => dd <= 1.3 * native,
    },
    {
      claim: "trusted: write of 4 KiB takes at most 1.3 times as long as natively",
      unit: "ns",
      rounds: CALL_ROUNDS,
      pair: pair("write_4k", "trusted"),
      holds: (dd, native) => dd <= 1.3 * native,
    },
    {
      claim: "trusted: compute runs at 0.97 of native speed or more",
      unit: "ns",
      rounds: CALL_ROUNDS,
      pair: pair("compute", "trusted"),
      holds: (dd, native) => native / dd >= 0.97,
    },
  ];
}

await main(import.meta.url, claims).finally(leave);
