import test from "ava";
import {
  censusAfter,
  descendants,
  filesOf,
  isAlive,
  settledCensus,
} from "../../fixtures/census.ts";
import { CHURN, startChurn } from "../../fixtures/churn.ts";
import { MODES, openDd } from "../../fixtures/dd.ts";
import { image } from "../../fixtures/images.ts";
import { until } from "../../fixtures/until.ts";

const dd = openDd();
test.before(async (t) => {
  t.timeout(300_000);
  await dd.load(image("busybox"));
  // The first run makes the directories of the store.
  await dd.run(["run", "--rm", "busybox:test", "true"]);
});
test.after.always(() => dd.close());

/** Enough for whatever is made once and kept. */
const WARM = 3;
const ROUNDS = 40;
/** Of programs that are executed, so many more that what would be kept of each fills the heap. */
const EXECS = 600;
/**
 * Room for the sentry's JavaScript in MiB: what is alive takes two thirds of it, and the rest is too little to
 * keep something of each process.
 */
const SMALL_HEAP_MB = 20;

for (const mode of MODES) {
  test.serial(
    `hundreds of processes later a container holds what it held before, ${mode}`,
    async (t) => {
      t.timeout(300_000);
      const files = filesOf(dd);
      const churn = await startChurn(dd, mode, {
        options: ["--pids-limit", "200"],
        env: { NODE_OPTIONS: `--max-old-space-size=${SMALL_HEAP_MB}` },
      });
      for (const what of CHURN) t.is(await churn.say(`${what} ${WARM}`), `done ${what}`);
      const before = await settledCensus(dd, churn.pid);
      for (const what of CHURN) t.is(await churn.say(`${what} ${ROUNDS}`), `done ${what}`);
      t.is(await churn.say(`exec ${EXECS}`), "done exec");
      t.deepEqual(await censusAfter(dd, churn.pid, before), before);

      const members = descendants(churn.pid);
      t.is(await churn.end(), 0);
      const left = () => members.filter(isAlive);
      await until(() => left().length === 0 && dd.processes().length === 0);
      t.deepEqual([left(), dd.processes()], [[], []]);
      t.deepEqual(filesOf(dd), files);
    },
  );
}
