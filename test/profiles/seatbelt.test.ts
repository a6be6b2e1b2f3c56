import test from "ava";
import fc from "fast-check";
import type { PathParameter, Profile, Rule } from "../../profiles/model.ts";
import { PathRefused, type PathValues } from "../../profiles/paths.ts";
import { executorProfile, sentryProfile } from "../../profiles/profiles.ts";
import { decide, RULE_ORDERS } from "../../profiles/seatbelt/decide.ts";
import { type EvaluatedProfile, evaluateSbpl } from "../../profiles/seatbelt/evaluate.ts";
import { generateSeatbelt } from "../../profiles/seatbelt/generate.ts";
import { EXECUTOR_LINT, lintSeatbelt, SENTRY_LINT } from "../../profiles/seatbelt/lint.ts";
import { SbplError } from "../../profiles/seatbelt/reader.ts";
import { matchesGolden } from "./golden.ts";
import { EXECUTOR_ROWS, SENTRY_PATHS, SENTRY_ROWS, type SeatbeltRow } from "./seatbelt-rows.ts";

function evaluated(profile: Profile, values: PathValues): EvaluatedProfile {
  const { text, parameters } = generateSeatbelt(profile, values);
  return evaluateSbpl(text, new Map(parameters));
}

const CASES = [
  { profile: executorProfile, values: {}, rows: EXECUTOR_ROWS, lint: EXECUTOR_LINT, rowsMin: 150 },
  {
    profile: sentryProfile,
    values: SENTRY_PATHS,
    rows: SENTRY_ROWS,
    lint: SENTRY_LINT,
    rowsMin: 150,
  },
] as const;

for (const { profile, values, rows, lint, rowsMin } of CASES) {
  const { name } = profile;

  test(`the ${name}'s Seatbelt profile reads as reviewed`, (t) => {
    matchesGolden(t, `seatbelt-${name}.sb`, generateSeatbelt(profile, values).text);
  });

  test(`the ${name}'s Seatbelt profile keeps every rule of the lint`, (t) => {
    t.deepEqual(lintSeatbelt(generateSeatbelt(profile, values), lint), []);
  });

  for (const order of RULE_ORDERS) {
    test(`the ${name}'s decision table holds when macOS decides by ${order}`, (t) => {
      const subject = evaluated(profile, values);
      t.true(rows.length >= rowsMin, `${rows.length} rows`);
      const wrong = rows.filter(
        ({ operation, object, allowed }) => decide(subject, operation, object, order) !== allowed,
      );
      t.deepEqual(wrong, []);
    });
  }

  test(`removing any rule of the ${name}'s profile changes the answer to a row`, (t) => {
    const subject = evaluated(profile, values);
    for (const [at, rule] of subject.rules.entries()) {
      const rules = subject.rules.filter((other) => other !== rule);
      // The executor's right to signal itself is one that libsandbox adds by itself.
      const implied = rule.operations.includes("signal") && name === "executor";
      t.is(flips(rows, { ...subject, rules }), !implied, `rule ${at}: ${rule.operations}`);
    }
  });

  test(`allowing anything more in the ${name}'s profile changes the answer to a row`, (t) => {
    const subject = evaluated(profile, values);
    const additions = new Set(rows.filter((row) => !row.allowed).map((row) => row.operation));
    for (const operation of additions) {
      const rules = [...subject.rules, { action: "allow", operations: [operation] } as const];
      t.true(flips(rows, { ...subject, rules }, "last-match"), operation);
    }
  });
}

function flips(
  rows: readonly SeatbeltRow[],
  subject: EvaluatedProfile,
  order: (typeof RULE_ORDERS)[number] = "filtered-first",
): boolean {
  return rows.some(
    ({ operation, object, allowed }) => decide(subject, operation, object, order) !== allowed,
  );
}

test("the rule orders differ on a profile that depends on the order", (t) => {
  const subject = evaluateSbpl(`
    (version 1)
    (deny default)
    (allow file-read* (subpath "/a"))
    (deny file-read-data (subpath "/a/b"))
    (allow file-read-data (literal "/a/b/c"))
    (deny file-read-data)
  `);
  const answers = RULE_ORDERS.map((order) =>
    decide(subject, "file-read-data", { path: "/a/b/c" }, order),
  );
  t.deepEqual(answers, [false, true, true, false]);
});

test("a profile in the wide dialect of other projects is understood", (t) => {
  const subject = evaluateSbpl(
    `
    (version 1) ; a comment
    (define home (param "HOME"))
    (define (below path) (subpath (string-append home path)))
    (deny default (with no-log))
    (let ((name "com.example.x")) (allow mach-lookup (global-name name)))
    (when (defined? 'mach-lookup) (allow signal (target same-sandbox)))
    (if (string=? home "/Users/ann") (allow file-read* (subpath home)) (allow file-write*))
    (allow file-write* (require-all (subpath home) (require-not (regex #"\\.ssh/"))))
    (allow network-outbound (remote tcp "localhost:80"))
  `.replaceAll("(below path) (subpath", "(below path) (string-append"),
    new Map([["HOME", "/Users/ann"]]),
  );
  const order = "filtered-first";
  t.true(decide(subject, "file-read-data", { path: "/Users/ann/a" }, order));
  t.true(decide(subject, "file-write-data", { path: "/Users/ann/a" }, order));
  t.false(decide(subject, "file-write-data", { path: "/Users/ann/.ssh/key" }, order));
  t.false(decide(subject, "file-read-data", { path: "/Users/anna" }, order));
  t.true(decide(subject, "mach-lookup", { name: "com.example.x" }, order));
  t.true(decide(subject, "network-outbound", { remote: "tcp 127.0.0.1:80" }, order));
  t.false(decide(subject, "network-outbound", { remote: "tcp 10.0.0.1:80" }, order));
  t.false(decide(subject, "network-outbound", { remote: "unix /x" }, order));
});

for (const [what, text] of [
  ["an unknown operation", "(version 1)(deny file-raed*)"],
  ["an unknown filter", '(version 1)(deny file-read* (subpth "/"))'],
  ["an unknown form", '(version 1)(forbid file-read* (subpath "/"))'],
  ["an import", '(version 1)(import "bsd.sb")'],
  ["a missing parameter", '(version 1)(allow file-read* (subpath (param "X")))'],
  ["a missing version", "(deny default)"],
  ["an open list", "(version 1)(deny default"],
  ["an open string", '(version 1)(deny file-read* (literal "/x))'],
  ["a host other than * and localhost", '(version 1)(allow network-outbound (remote tcp "a:1"))'],
  ["endless nesting", "(".repeat(1000)],
  ["endless recursion", "(version 1)(define (f) (f))(f)"],
] as const) {
  test(`${what} in a profile is an error`, (t) => {
    const run = (): unknown =>
      decide(evaluateSbpl(text), "network-outbound", { remote: "tcp 1.2.3.4:5" }, "last-match");
    t.throws(run, { instanceOf: SbplError });
  });
}

test("the lint reports each way in which a profile could be too wide", (t) => {
  const lint = (rules: string, parameters: readonly [string, string][] = []) =>
    lintSeatbelt({ text: `(version 1)\n${rules}`, parameters }, EXECUTOR_LINT);
  t.deepEqual(lint("(deny default)"), []);
  t.is(lint("(allow process-fork)").length, 1);
  t.is(lint("(deny default)(deny default)").length, 1);
  t.is(lint("(allow process-fork)(deny default)").length, 1);
  t.is(lint("(deny default)(allow default)").length > 0, true);
  t.is(lint('(deny default)(allow file-read* (literal "/x"))').length, 1);
  t.is(lint('(deny default)(allow f* (literal "/x"))').length, 1);
  t.is(lint("(deny default)(allow signal)").length, 1);
  t.is(lint("(deny default)(if #t (allow process-fork))").length, 1);
  t.is(lint("(deny default)", [["X", "/x"]]).length, 1);
  t.is(lint("(deny default) ; \u00e9").length, 1);
});

const hostilePath = fc
  .string({ unit: fc.constantFrom(..."ab\")(;\\#'\n\r\0 ./*\u00e9\u00ff"), maxLength: 24 })
  .map((name) => `/${name}`);

test("no path can become part of a profile, whatever its name", (t) => {
  const parameters: PathParameter[] = ["store", "read-only", "read-write"];
  const plain = generateSeatbelt(sentryProfile, { store: ["/s"], "read-only": ["/r"] });
  const count = evaluateSbpl(plain.text, new Map(plain.parameters)).rules.length;
  let accepted = 0;
  fc.assert(
    fc.property(hostilePath, hostilePath, fc.constantFrom(...parameters), (one, two, which) => {
      try {
        const { text, parameters: given } = generateSeatbelt(sentryProfile, {
          store: [one],
          "read-only": [two],
        });
        const subject = evaluateSbpl(text, new Map(given));
        t.is(text, plain.text);
        t.is(subject.rules.length, count);
        accepted += 1;
        const inside = which === "store" ? given[0] : given[1];
        return decide(subject, "file-read-data", { path: `${inside?.[1]}/x` }, "last-match");
      } catch (error) {
        return error instanceof PathRefused;
      }
    }),
    { numRuns: 3000 },
  );
  t.true(accepted > 50);
});

for (const path of [
  "",
  "x",
  "/",
  "/a/../b",
  "/a//b",
  "/a/",
  "/a/./b",
  "/a\0b",
  "/tmp/x",
  "/var",
  "/a\nb",
]) {
  test(`the path ${JSON.stringify(path)} is refused`, (t) => {
    t.throws(() => generateSeatbelt(sentryProfile, { store: [path] }), { instanceOf: PathRefused });
  });
}

test("a word that cannot be quoted is never generated", (t) => {
  const rule: Rule = {
    name: "odd",
    why: "",
    operations: [{ name: "sysctl-read", filter: ["sysctl-name", { text: 'a")(allow default)' }] }],
  };
  t.throws(() => generateSeatbelt({ ...executorProfile, rules: [rule] }), {
    message: /Cannot quote/,
  });
});
