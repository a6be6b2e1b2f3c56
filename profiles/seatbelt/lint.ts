import type { EvaluatedProfile } from "./evaluate.ts";
import { evaluateSbpl } from "./evaluate.ts";
import type { SeatbeltProfile } from "./generate.ts";
import { operationMatches } from "./operations.ts";
import { readSbpl } from "./reader.ts";

/** What a profile promises beyond denying by default. */
export interface LintRules {
  /** Operations that may be allowed without a filter. */
  readonly unfiltered: readonly string[];
  /** Families (with `*`) of which nothing may be allowed at all. */
  readonly forbidden: readonly string[];
}

export const EXECUTOR_LINT: LintRules = {
  unfiltered: ["process-fork"],
  forbidden: [
    "appleevent-send",
    "dynamic-code-generation",
    "file*",
    "iokit*",
    "ipc*",
    "lsopen",
    "mach*",
    "network*",
    "process-exec*",
    "process-info*",
    "pseudo-tty",
    "sysctl*",
    "system*",
    "user-preference*",
  ],
};

export const SENTRY_LINT: LintRules = {
  unfiltered: ["process-fork", "pseudo-tty", "system-socket"],
  forbidden: [
    "appleevent-send",
    "iokit*",
    "ipc*",
    "lsopen",
    "mach-lookup",
    "mach-register",
    "process-info*",
    "sysctl-write",
    "user-preference*",
  ],
};

/**
 * What is wrong with a generated profile, one sentence each; an unknown operation, filter or form is an
 * error of its own.
 * @throws SbplError
 */
export function lintSeatbelt(profile: SeatbeltProfile, rules: LintRules): readonly string[] {
  const { text, parameters } = profile;
  const evaluated = evaluateSbpl(text, new Map(parameters));
  return [
    ...lintText(text),
    ...lintParameters(evaluated, parameters),
    ...lintRules(evaluated, rules),
  ];
}

function lintText(text: string): string[] {
  const problems: string[] = [];
  if (!/^[\n\x20-\x7e]*$/.test(text)) problems.push("The text is not ASCII");
  const heads = readSbpl(text).map((expression) => {
    const head = expression.kind === "list" ? expression.items[0] : undefined;
    return head?.kind === "symbol" ? head.name : "";
  });
  const odd = heads.find((head) => !["version", "allow", "deny"].includes(head));
  if (odd !== undefined) problems.push(`The form ${odd} is more than a list of rules`);
  if (heads[0] !== "version") problems.push("The version is not the first form");
  return problems;
}

function lintParameters(
  { usedParameters }: EvaluatedProfile,
  parameters: SeatbeltProfile["parameters"],
): string[] {
  const given = new Set(parameters.map(([name]) => name));
  return [
    ...[...usedParameters].filter((name) => !given.has(name)).map((name) => `${name} is not given`),
    ...[...given].filter((name) => !usedParameters.has(name)).map((name) => `${name} is not used`),
    ...(given.size === parameters.length ? [] : ["A parameter is given twice"]),
  ];
}

function lintRules({ version, rules }: EvaluatedProfile, lint: LintRules): string[] {
  const problems: string[] = [];
  if (version !== 1) problems.push(`The version is ${version}`);
  const denials = rules.filter((rule) => rule.action === "deny");
  const [first] = rules;
  if (denials.length !== 1 || first !== denials[0] || first?.operations.join() !== "default") {
    problems.push("The only denial is not (deny default) before all rules");
  }
  for (const rule of rules.filter(({ action }) => action === "allow")) {
    for (const operation of rule.operations) {
      if (rule.filter === undefined && !lint.unfiltered.includes(operation)) {
        problems.push(`${operation} is allowed on every object`);
      }
      if (lint.forbidden.some((family) => overlap(family, operation))) {
        problems.push(`${operation} is allowed`);
      }
    }
  }
  return problems;
}

/** Whether some operation belongs to both. */
function overlap(family: string, operation: string): boolean {
  return (
    operationMatches(family, operation.replace(/\*$/, "")) ||
    operationMatches(operation, family.replace(/\*$/, ""))
  );
}
