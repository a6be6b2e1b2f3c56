import { BuildError } from "../errors.ts";
import { RULES, type Rule, type RuleName } from "./rules.ts";

/** Which rules count. */
export interface LintOptions {
  readonly skipped: "all" | ReadonlySet<string>;
  readonly experimental: "all" | ReadonlySet<string>;
  /** A violation is an error of the build. */
  readonly isError: boolean;
}

const PARTS_MAX = 3;
const DEFAULTS: LintOptions = { skipped: new Set(), experimental: new Set(), isError: false };

/**
 * Reads `skip=RULE,RULE;error=true;experimental=all`.
 * @throws {BuildError} DOCKERFILE_INVALID
 */
export function parseLintOptions(text: string): LintOptions {
  const trimmed = text.trim();
  if (trimmed === "") return DEFAULTS;
  let options = DEFAULTS;
  for (const part of trimmed.split(";").slice(0, PARTS_MAX)) {
    const equals = part.indexOf("=");
    if (equals < 0) throw invalid(`invalid check option ${JSON.stringify(part)}`);
    const key = part.slice(0, equals).trim();
    const value = part.slice(equals + 1).trim();
    const rules = value === "all" ? "all" : new Set(value.split(",").map((each) => each.trim()));
    if (key === "skip") options = { ...options, skipped: rules };
    else if (key === "experimental") options = { ...options, experimental: rules };
    else if (key === "error") options = { ...options, isError: truth(part, value) };
    else throw invalid(`invalid check option ${JSON.stringify(key)}`);
  }
  return options;
}

function truth(part: string, value: string): boolean {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(value)) return true;
  if (/^(?:0|f|F|false|FALSE|False)$/.test(value)) return false;
  throw invalid(
    `failed to parse check option ${JSON.stringify(part)}: ` +
      `strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`,
  );
}

function invalid(message: string): BuildError {
  return new BuildError("DOCKERFILE_INVALID", message);
}

export function counts(name: RuleName, { skipped, experimental }: LintOptions): boolean {
  const { experimental: isExperimental = false }: Rule = RULES[name];
  if (isExperimental) return experimental === "all" || experimental.has(name);
  return skipped !== "all" && !skipped.has(name);
}
