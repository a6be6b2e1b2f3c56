import test from "ava";
import { RULES, readTree } from "../../tools/tidy.ts";
import { caseOf } from "../known.ts";

const tree = readTree();
for (const rule of RULES) {
  const title = `tidy: ${rule.name}`;
  caseOf(title)(title, (t) => {
    t.deepEqual(rule.check(tree), []);
  });
}

/** For each rule a file that breaks it, in the order of RULES. */
const OFFENDERS = [
  { path: "sentry/long.ts", text: "let x;\n".repeat(601) },
  { path: "sentry/wide.ts", text: `// ${"wide ".repeat(40)}.\n` },
  { path: "sentry/word.ts", text: "// TODO: later\n" },
  { path: "sentry/utils.ts", text: "let x;\n" },
  { path: "sentry/blank.ts", text: "let x; \n" },
  { path: "sentry/room.ts", text: "let x;\n" },
  { path: "sentry/dead.ts", text: "let x;\n" },
];

for (const [index, rule] of RULES.entries()) {
  test(`the tidy rule "${rule.name}" finds an offender`, (t) => {
    const offender = OFFENDERS[index];
    t.truthy(offender);
    t.is(rule.check(offender === undefined ? [] : [offender]).length, 1);
  });
}
