import {
  FILTER_NAMES,
  type Filter,
  requireAll,
  requireAny,
  requireNot,
  wordFilter,
  wordOf,
} from "./filters.ts";
import { isKnownOperation } from "./operations.ts";
import { type Expression, readSbpl, SbplError } from "./reader.ts";

/** A rule as macOS would compile it. */
export interface SeatbeltRule {
  readonly action: "allow" | "deny";
  /** Operation names, perhaps with a trailing `*`; or `default`. */
  readonly operations: readonly string[];
  /** Absent: every object. */
  readonly filter?: Filter;
}

/** What a profile says: its version, and its rules in the order of the text. */
export interface EvaluatedProfile {
  readonly version: number;
  readonly rules: readonly SeatbeltRule[];
  /** Parameters that the text asked for. */
  readonly usedParameters: ReadonlySet<string>;
}

/** A value of the profile's program: an expression, or a function of the profile's own. */
interface Procedure {
  readonly kind: "procedure";
  readonly names: readonly string[];
  readonly body: readonly Expression[];
}
type Value = Expression | Procedure;
type Scope = Map<string, Value>;

const STEPS_MAX = 100_000;
const CALLS_MAX = 64;
const NOTHING: Expression = { kind: "boolean", value: false };

/**
 * Runs the program that a profile is, as libsandbox does, and collects the rules it makes.
 * @throws SbplError for anything it does not know: ignoring a word could turn a denial into nothing.
 */
export function evaluateSbpl(
  text: string,
  parameters: ReadonlyMap<string, string> = new Map(),
): EvaluatedProfile {
  const evaluator = new Evaluator(parameters);
  const scope: Scope = new Map();
  for (const expression of readSbpl(text)) evaluator.run(expression, scope);
  if (evaluator.version === undefined) throw new SbplError("The profile has no version");
  return {
    version: evaluator.version,
    rules: evaluator.rules,
    usedParameters: evaluator.usedParameters,
  };
}

class Evaluator {
  version: number | undefined;
  readonly rules: SeatbeltRule[] = [];
  readonly usedParameters = new Set<string>();
  readonly #parameters: ReadonlyMap<string, string>;
  #steps = 0;
  #calls = 0;

  constructor(parameters: ReadonlyMap<string, string>) {
    this.#parameters = parameters;
  }

  run(expression: Expression, scope: Scope): Expression {
    this.#steps += 1;
    if (this.#steps > STEPS_MAX) throw new SbplError("The profile runs for too long");
    if (expression.kind === "symbol") {
      const value = scope.get(expression.name);
      if (value === undefined || value.kind === "procedure") {
        throw new SbplError(`Unknown name ${expression.name}`);
      }
      return value;
    }
    if (expression.kind !== "list") return expression;
    const [head, ...rest] = expression.items;
    if (head?.kind !== "symbol") throw new SbplError("A form does not begin with a name");
    const procedure = scope.get(head.name);
    if (procedure?.kind === "procedure") return this.#apply(procedure, rest, scope);
    const form = FORMS[head.name];
    if (form === undefined) throw new SbplError(`Unknown form ${head.name}`);
    return form(this, rest, scope);
  }

  runAll(expressions: readonly Expression[], scope: Scope): Expression {
    return expressions.reduce<Expression>((_, one) => this.run(one, scope), NOTHING);
  }

  parameter(name: string): Expression {
    this.usedParameters.add(name);
    const value = this.#parameters.get(name);
    return value === undefined ? NOTHING : { kind: "string", value };
  }

  rule(action: "allow" | "deny", words: readonly Expression[], scope: Scope): void {
    const operations: string[] = [];
    const filters: Filter[] = [];
    for (const word of words) {
      if (word.kind === "symbol") operations.push(word.name);
      else if (!isModifier(word)) filters.push(this.#filter(word, scope));
    }
    if (operations.length === 0) throw new SbplError(`A rule of ${action} names no operation`);
    const unknown = operations.find((operation) => !isKnownOperation(operation));
    if (unknown !== undefined) throw new SbplError(`Unknown operation ${unknown}`);
    const filter = filters.length === 0 ? {} : { filter: requireAny(filters) };
    this.rules.push({ action, operations, ...filter });
  }

  #filter(expression: Expression, scope: Scope): Filter {
    if (expression.kind !== "list") throw new SbplError("A filter is no list");
    const [head, ...rest] = expression.items;
    if (head?.kind !== "symbol" || !FILTER_NAMES.has(head.name)) {
      throw new SbplError(`Unknown filter ${head?.kind === "symbol" ? head.name : ""}`);
    }
    const inner = (): Filter[] => rest.map((one) => this.#filter(one, scope));
    if (head.name === "require-any") return requireAny(inner());
    if (head.name === "require-all") return requireAll(inner());
    if (head.name === "require-not") return requireNot(requireAny(inner()));
    const words = rest.map((one) =>
      wordOf(one.kind === "symbol" && !scope.has(one.name) ? one : this.run(one, scope)),
    );
    return wordFilter(head.name, words);
  }

  #apply({ names, body }: Procedure, values: readonly Expression[], scope: Scope): Expression {
    if (values.length !== names.length) throw new SbplError("A function has other arguments");
    if (this.#calls === CALLS_MAX) throw new SbplError("Functions call each other too deeply");
    const inner: Scope = new Map(scope);
    names.forEach((name, at) => {
      inner.set(name, this.run(values[at] ?? NOTHING, scope));
    });
    this.#calls += 1;
    const result = this.runAll(body, inner);
    this.#calls -= 1;
    return result;
  }
}

/** `(with no-log)` and the like change the report, never the decision. */
function isModifier(word: Expression): boolean {
  if (word.kind !== "list") return false;
  const [head, kind] = word.items;
  if (head?.kind !== "symbol" || head.name !== "with") return false;
  if (kind?.kind !== "symbol" || !["no-log", "report", "message"].includes(kind.name)) {
    throw new SbplError("Unknown modifier of a rule");
  }
  return true;
}

type Form = (evaluator: Evaluator, rest: readonly Expression[], scope: Scope) => Expression;

const truth = (value: Expression): boolean => value.kind !== "boolean" || value.value;
const boolean = (value: boolean): Expression => ({ kind: "boolean", value });

/** The value at a place. @throws SbplError when the form is too short. */
function part(rest: readonly Expression[], at: number): Expression {
  const value = rest[at];
  if (value === undefined) throw new SbplError("A form is too short");
  return value;
}

function bind(evaluator: Evaluator, rest: readonly Expression[], scope: Scope): Expression {
  const [target, ...body] = rest;
  if (target?.kind === "symbol") {
    scope.set(target.name, evaluator.run(part(body, 0), scope));
  } else if (target?.kind === "list") {
    const [name, ...names] = target.items.map(wordOf);
    if (name === undefined) throw new SbplError("A definition has no name");
    scope.set(name, { kind: "procedure", names, body });
  }
  return NOTHING;
}

const FORMS: Readonly<Record<string, Form>> = {
  version(evaluator, rest) {
    const value = part(rest, 0);
    if (value.kind !== "number") throw new SbplError("The version is no number");
    evaluator.version = value.value;
    return NOTHING;
  },
  allow(evaluator, rest, scope) {
    evaluator.rule("allow", rest, scope);
    return NOTHING;
  },
  deny(evaluator, rest, scope) {
    evaluator.rule("deny", rest, scope);
    return NOTHING;
  },
  define: bind,
  begin: (evaluator, rest, scope) => evaluator.runAll(rest, scope),
  if(evaluator, rest, scope) {
    const chosen = truth(evaluator.run(part(rest, 0), scope)) ? part(rest, 1) : rest[2];
    return chosen === undefined ? NOTHING : evaluator.run(chosen, scope);
  },
  when: (evaluator, [test, ...body], scope) =>
    test !== undefined && truth(evaluator.run(test, scope))
      ? evaluator.runAll(body, scope)
      : NOTHING,
  let(evaluator, [bindings, ...body], scope) {
    const inner: Scope = new Map(scope);
    if (bindings?.kind !== "list") throw new SbplError("let has no bindings");
    for (const binding of bindings.items) {
      if (binding.kind !== "list") throw new SbplError("A binding is no list");
      inner.set(wordOf(part(binding.items, 0)), evaluator.run(part(binding.items, 1), scope));
    }
    return evaluator.runAll(body, inner);
  },
  quote: (_evaluator, rest) => part(rest, 0),
  not: (evaluator, rest, scope) => boolean(!truth(evaluator.run(part(rest, 0), scope))),
  and: (evaluator, rest, scope) => boolean(rest.every((one) => truth(evaluator.run(one, scope)))),
  or: (evaluator, rest, scope) => boolean(rest.some((one) => truth(evaluator.run(one, scope)))),
  param: (evaluator, rest, scope) =>
    evaluator.parameter(wordOf(evaluator.run(part(rest, 0), scope))),
  "string-append": (evaluator, rest, scope) => ({
    kind: "string",
    value: rest.map((one) => wordOf(evaluator.run(one, scope))).join(""),
  }),
  "string=?": (evaluator, rest, scope) =>
    boolean(
      wordOf(evaluator.run(part(rest, 0), scope)) === wordOf(evaluator.run(part(rest, 1), scope)),
    ),
  "defined?"(evaluator, rest, scope) {
    const name = wordOf(evaluator.run(part(rest, 0), scope));
    return boolean(scope.has(name) || Object.hasOwn(FORMS, name) || isKnownOperation(name));
  },
};
