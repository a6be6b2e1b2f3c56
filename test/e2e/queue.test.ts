/**
 * Short-lived containers from a queue, four at a time: each does its work, and nothing is left of it. With
 * DD_QUEUE_CONTAINERS=200 as many as that; by default few, so that the suite stays short.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { openEngine, type TestEngine } from "../fixtures/engine.ts";
import { image } from "../fixtures/images.ts";
import { until } from "../fixtures/until.ts";

const CONTAINERS = Number(process.env["DD_QUEUE_CONTAINERS"] ?? 24);
const AT_ONCE = 4;
/** A process kept ready for the next container, and what belongs to it. */
const RESERVE_DESCRIPTORS = 8;
const MS_PER_CONTAINER_MAX = 5_000;

let engine: TestEngine;

test.before(async (t) => {
  t.timeout(300_000);
  engine = await openEngine();
  await engine.dd.load(image("busybox"));
});
test.after.always(() => engine?.close());

/** Runs containers until the numbers are used up. @returns what they printed. */
async function work(numbers: Iterator<number>): Promise<string[]> {
  const printed: string[] = [];
  for (let next = numbers.next(); next.done !== true; next = numbers.next()) {
    const script = `echo ${next.value} > /tmp/n; cat /tmp/n; exit ${next.value % 3}`;
    const { code, stdout } = await engine.docker([
      ...["run", "--rm", "-v", "/scratch", "busybox:test", "sh", "-c", script],
    ]);
    printed.push(`${stdout.trim()} ${code}`);
  }
  return printed;
}

const descriptors = () => readdirSync(`/proc/${engine.pid()}/fd`).length;

test(`${CONTAINERS} containers from a queue leave nothing behind`, async (t) => {
  t.timeout(60_000 + CONTAINERS * MS_PER_CONTAINER_MAX);
  await work([0][Symbol.iterator]());
  const before = descriptors();
  const queue = Array.from({ length: CONTAINERS }, (_, i) => i);
  const numbers = queue[Symbol.iterator]();
  const workers = Array.from({ length: AT_ONCE }, () => work(numbers));
  const printed = (await Promise.all(workers)).flat();
  const byNumber = (a: string, b: string) => Number.parseInt(a, 10) - Number.parseInt(b, 10);
  t.deepEqual(
    printed.sort(byNumber),
    queue.map((i) => `${i} ${i % 3}`),
  );
  for (const list of [
    ["ps", "-aq"],
    ["volume", "ls", "-q"],
  ]) {
    t.is((await engine.docker(list)).stdout, "", list.join(" "));
  }
  const { root } = engine.dd;
  t.true(await until(() => readdirSync(join(root, "containers")).length === 0));
  t.true(
    await until(() => descriptors() <= before + RESERVE_DESCRIPTORS),
    `${before} descriptors before, ${descriptors()} after`,
  );
});
