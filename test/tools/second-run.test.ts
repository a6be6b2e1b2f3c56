import test from "ava";
import { fileOf, judge } from "../../tools/second-run.ts";
import type { TapResult } from "../../tools/tap.ts";

const FILES = ["test/e2e/cli.test.ts", "test/e2e/copy.test.ts", "test/sentry/io/tty.test.ts"];
const [CLI = "", COPY = ""] = FILES;

const passed = (title: string): TapResult => ({ title, ok: true, text: `ok 1 - ${title}` });
const failed = (title: string, text = "expected 1, got 2"): TapResult => ({
  title,
  ok: false,
  text,
});
const titles = (results: readonly TapResult[]) => results.map(({ title }) => title);

test("fileOf() knows a case by the beginning of its title, and a bad end by the file it names", (t) => {
  t.is(fileOf(failed("sentry › io › tty › a line › is edited"), FILES), FILES[2]);
  t.is(fileOf(failed(`${CLI} exited due to SIGKILL`), FILES), CLI);
  t.is(fileOf(failed("Error: nobody caught it", `  at: ${COPY}:7:3`), FILES), COPY);
  t.is(fileOf(failed("something else"), FILES), undefined);
});

test("a case that passes the second time counts as passed, and is unsteady", (t) => {
  const first = [
    passed("e2e › cli › steady"),
    failed("e2e › cli › shaky", "the first failure"),
    failed("e2e › cli › broken"),
    passed("e2e › copy › other"),
  ];
  const again = [passed("steady"), passed("shaky"), failed("broken", "the second failure")];
  const { results, unsteady } = judge(first, new Map([[CLI, again]]));
  t.deepEqual(
    results.map(({ title, ok }) => [title, ok]),
    [
      ["e2e › cli › steady", true],
      ["e2e › cli › shaky", true],
      ["e2e › cli › broken", false],
      ["e2e › copy › other", true],
    ],
  );
  t.deepEqual(unsteady, [first[1]]);
});

test("a case that passes only the first time is unsteady, too", (t) => {
  const first = [passed("e2e › cli › shaky"), failed("e2e › cli › broken")];
  const second = new Map([[CLI, [failed("shaky"), failed("broken")]]]);
  const { results, unsteady } = judge(first, second);
  t.deepEqual(
    results.map(({ ok }) => ok),
    [true, false],
  );
  t.deepEqual(titles(unsteady), ["e2e › cli › shaky"]);
});

test("a file that ended too early gives its cases the second time, each once", (t) => {
  const first = [passed("e2e › cli › one"), failed(`${CLI} exited due to SIGSEGV`)];
  const second = new Map([[CLI, [passed("one"), passed("two"), passed("three")]]]);
  const { results, unsteady } = judge(first, second);
  t.deepEqual(titles(results), ["e2e › cli › one", "e2e › cli › two", "e2e › cli › three"]);
  t.deepEqual(titles(unsteady), [`${CLI} exited due to SIGSEGV`]);
  t.true(results.every(({ ok }) => ok));
});

test("what was not run again, or ends as badly, stays failed", (t) => {
  const first = [failed("e2e › copy › case"), failed(`${CLI} exited due to SIGSEGV`)];
  const second = new Map([[CLI, [failed(`${CLI} exited due to SIGSEGV`)]]]);
  const { results, unsteady } = judge(first, second);
  t.deepEqual(results, first);
  t.deepEqual(unsteady, []);
});
