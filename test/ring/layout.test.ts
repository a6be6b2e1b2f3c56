import test from "ava";
import * as layout from "../../ring/layout.ts";
import {
  Attach,
  RuntimeCall,
  SIGKICK,
  SIGNAL_FRAME,
  SLOT_COUNT,
  STAGING_SIZE,
  THREAD_GONE,
  Verb,
} from "../../sentry/machine/protocol.ts";
import { runNativeTest } from "../fixtures/native-test.ts";

type Offsets = Readonly<Record<string, number>>;

/** `SignalFrame` is not of ring.fbs: nobody but the machine writes it. */
const STRUCTS: Readonly<Record<string, Offsets>> = {
  ...layout,
  SignalFrame: { ...SIGNAL_FRAME, reserved: SIGNAL_FRAME.signo + 4 },
};

/** A struct whose k-th field, by offset, holds k in each of its bytes. */
function filled(name: string): string {
  const { size = 0, ...fields } = STRUCTS[name] ?? {};
  const bytes = new Uint8Array(size);
  const offsets = Object.values(fields).sort((a, b) => a - b);
  for (const [k, offset] of offsets.entries()) bytes.fill(k + 1, offset);
  return `${name} ${Buffer.from(bytes).toString("hex")}`;
}

test("what C++ writes into each shared struct is where TypeScript looks for it", (t) => {
  const written = runNativeTest(t, "plain", "layout-vectors", ["write"]).trim().split("\n");
  t.deepEqual(
    written,
    written.map((line) => filled(line.split(" ")[0] as string)),
  );
  t.deepEqual(written.map((line) => line.split(" ")[0]).sort(), Object.keys(STRUCTS).sort());
});

test("what TypeScript writes into each shared struct is where C++ looks for it", (t) => {
  const names = runNativeTest(t, "plain", "layout-vectors", ["write"])
    .trim()
    .split("\n")
    .map((line) => line.split(" ")[0] as string);
  runNativeTest(t, "plain", "layout-vectors", ["read"], `${names.map(filled).join("\n")}\n`);
});

test("the sentry's numbers of the protocol are those of the executor", (t) => {
  const lines = runNativeTest(t, "plain", "layout-vectors", ["numbers"]).trim().split("\n");
  const theirs = Object.fromEntries(
    lines.map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
  const constant = (name: string) => `k${name[0]?.toUpperCase()}${name.slice(1)}`;
  const named = (prefix: string, numbers: Offsets) =>
    Object.entries(numbers).map(([name, value]) => [prefix + constant(name), value]);
  const { size, ...fields } = SIGNAL_FRAME;
  t.deepEqual(
    theirs,
    Object.fromEntries([
      ...named("", Verb),
      ...named("", RuntimeCall),
      ...named("ring::Attach::", Attach),
      ["ring::kSlotCount", SLOT_COUNT],
      ["ring::kStagingSize", STAGING_SIZE],
      ["ring::kThreadGone", THREAD_GONE],
      ["native::kSigkick", SIGKICK],
      ["sizeof(ring::SignalFrame)", size],
      ...Object.entries(fields).map(([name, at]) => [`offsetof(ring::SignalFrame, ${name})`, at]),
    ]),
  );
});
