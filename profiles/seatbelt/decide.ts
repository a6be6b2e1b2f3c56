import type { EvaluatedProfile, SeatbeltRule } from "./evaluate.ts";
import type { SeatbeltObject } from "./filters.ts";
import { type OperationName, operationMatches } from "./operations.ts";

/**
 * The theories of how macOS picks a rule when several match; public evidence supports different ones.
 * A profile of ours must be decided alike by all.
 */
export const RULE_ORDERS = [
  /** The last rule in the text. */
  "last-match",
  /** The last rule with a filter; without any, the last one. Best evidence. */
  "filtered-first",
  /** The first rule in the text; `default` only when there is none. */
  "first-match",
  /** The rule with the most specific operation; among equals the last. */
  "most-specific",
] as const;
export type RuleOrder = (typeof RULE_ORDERS)[number];

/** What libsandbox adds to the end of every profile (unless it is told not to). */
const IMPLICIT_RULES: readonly SeatbeltRule[] = [
  {
    action: "allow",
    operations: [
      "signal",
      "mach-task-name",
      "mach-task-inspect",
      "mach-task-read",
      "mach-task-special-port-get",
    ],
    filter: (object) => object.target === "self",
  },
];

/** Whether a process under the profile may do this. */
export function decide(
  profile: EvaluatedProfile,
  operation: OperationName,
  object: SeatbeltObject,
  order: RuleOrder,
): boolean {
  const matching = [...profile.rules, ...IMPLICIT_RULES].filter(
    (rule) =>
      rule.operations.some((pattern) => operationMatches(pattern, operation)) &&
      (rule.filter === undefined || rule.filter(object)),
  );
  // Without a word on it, macOS allows.
  return PICK[order](matching, operation)?.action !== "deny";
}

type Pick = (matching: readonly SeatbeltRule[], operation: string) => SeatbeltRule | undefined;

const PICK: Readonly<Record<RuleOrder, Pick>> = {
  "last-match": (matching) => matching.at(-1),
  "filtered-first": (matching) =>
    matching.findLast((rule) => rule.filter !== undefined) ?? matching.at(-1),
  "first-match": (matching) => matching.find((rule) => !isDefault(rule)) ?? matching.at(-1),
  "most-specific"(matching, operation) {
    let best: SeatbeltRule | undefined;
    for (const rule of matching) {
      if (best === undefined || specificity(rule, operation) >= specificity(best, operation)) {
        best = rule;
      }
    }
    return best;
  },
};

function isDefault(rule: SeatbeltRule): boolean {
  return rule.operations.includes("default");
}

/** How much of the operation's name the rule spells out; an exact name counts more than any prefix. */
function specificity(rule: SeatbeltRule, operation: string): number {
  const matching = rule.operations.filter((pattern) => operationMatches(pattern, operation));
  return Math.max(
    ...matching.map((pattern) => {
      if (pattern === "default") return 0;
      return pattern.endsWith("*") ? pattern.length : operation.length + 1;
    }),
  );
}
