import test from "ava";
import { parseKnownFailures } from "../../tools/known-failures.ts";
import { readTap } from "../../tools/tap.ts";

test("readTap() tells results from their details", (t) => {
  const stream = [
    "TAP version 13",
    "ok 1 - first",
    "not ok 2 - a › second",
    "  ---",
    "    name: AssertionError",
    "  ...",
    "ok 3 - third # SKIP",
    "",
    "1..3",
    "# tests 3",
  ].join("\n");
  const results = readTap(stream);
  t.deepEqual(
    results.map(({ title, ok }) => [title, ok]),
    [
      ["first", true],
      ["a › second", false],
      ["third", true],
    ],
  );
  t.regex(results[1]?.text ?? "", /AssertionError/);
});

test("parseKnownFailures() takes a title and its reason, and refuses a line without one", (t) => {
  const text = "# a comment\n\npipe (trusted) ## splice waits for the direct plane\n";
  t.deepEqual(parseKnownFailures(text), [
    { title: "pipe (trusted)", reason: "splice waits for the direct plane" },
  ]);
  t.throws(() => parseKnownFailures("pipe (trusted)\n"), { message: /needs a reason/ });
});
