import test from "ava";
import { explainProfile } from "../../profiles/explain.ts";
import type { Profile } from "../../profiles/model.ts";
import { executorProfile, sentryProfile } from "../../profiles/profiles.ts";
import { matchesGolden } from "./golden.ts";

for (const profile of [executorProfile, sentryProfile]) {
  test(`the explanation of the ${profile.name}'s profile reads as reviewed`, (t) => {
    matchesGolden(t, `profile-${profile.name}.md`, explainProfile(profile));
  });

  test(`every rule and barrier of the ${profile.name}'s profile says why`, (t) => {
    const text = explainProfile(profile);
    for (const { why } of [...profile.rules, ...profile.barriers]) {
      t.true(why.length > 10, why);
      t.true(text.includes(why), why);
    }
  });

  test(`the rules of the ${profile.name}'s profile have names of their own, and allow something`, (t) => {
    const { rules } = profile;
    t.is(new Set(rules.map((rule) => rule.name)).size, rules.length);
    for (const { name, calls, operations, paths } of rules) {
      t.regex(name, /^[a-z]+(-[a-z]+)*$/);
      t.true((calls ?? operations ?? paths ?? []).length > 0, name);
    }
  });
}

test("a bar in a cell does not end it", (t) => {
  const profile: Profile = {
    name: "executor",
    title: "",
    rules: [{ name: "a", why: "one | two", calls: [{ call: "exit", when: [] }] }],
    barriers: [],
  };
  t.true(explainProfile(profile).includes("| `exit` | any | one \\| two |"));
});
