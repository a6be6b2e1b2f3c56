import { fromText } from "../../sentry/abi/bytes.ts";
import { parseReference } from "../../sentry/image/reference.ts";
import { expand, splitWords } from "../dockerfile/expand.ts";
import { suggestion } from "../dockerfile/flags.ts";
import type { PathMatcher } from "../dockerfile/ignore.ts";
import type { CopyOrAdd, From, Instruction } from "../dockerfile/instruction.ts";
import type { Dockerfile } from "../dockerfile/parse.ts";
import { cleanPath } from "../dockerfile/path.ts";
import { BuildError, type SourceRange } from "../errors.ts";
import type { PlannedStage } from "../solve/stages.ts";
import { globalVariables } from "../solve/variables.ts";
import { counts, type LintOptions } from "./options.ts";
import type { RuleName } from "./rules.ts";

/** Something odd, and where. */
export interface Violation {
  readonly rule: RuleName;
  readonly message: string;
  readonly range: SourceRange;
}

/** What a Dockerfile is looked at with. */
export interface LintInput {
  readonly file: Dockerfile;
  readonly options: LintOptions;
  /** What FROM sees. */
  readonly globals: ReadonlyMap<string, string>;
  /** The platforms' part of it, by which defaults are judged. */
  readonly platforms: ReadonlyMap<string, string>;
  /** Of the context's `.dockerignore`. */
  readonly ignore: PathMatcher | undefined;
}

const RESERVED: ReadonlySet<string> = new Set(["context", "scratch"]);
/** The names that say that a value is secret, as a whole or as the first or last word of a longer one. */
const SECRET =
  /(?:_|^)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)/i;
const NO_SECRET = /(?:_|^)public(?:_|$)/i;
const ONCE: ReadonlySet<Instruction["kind"]> = new Set(["CMD", "ENTRYPOINT", "HEALTHCHECK"]);

/** What stages are looked at with. */
export interface StagesInput {
  /** Those that are looked into. */
  readonly looked: readonly PlannedStage[];
  /** Names of the variables that a base image has; undefined where it is not known. */
  readonly variablesOf: (planned: PlannedStage) => Iterable<string> | undefined;
}

/** What is odd about the words of a Dockerfile, which can be told whatever it names. */
export function lintWords(input: LintInput): readonly Violation[] {
  const walk = new Walk(input);
  walk.words();
  walk.names();
  walk.casing();
  walk.bases();
  return walk.found;
}

/** What is odd about what stages do. */
export function lintStages(input: LintInput, stages: StagesInput): readonly Violation[] {
  const walk = new Walk(input);
  for (const planned of stages.looked) walk.stage(planned, stages.variablesOf);
  return walk.found;
}

/** The error that violations are, where the user has said so. */
export function lintError(found: readonly Violation[], { isError }: LintOptions): void {
  if (!isError || found.length === 0) return;
  const rules = [...new Set(found.map(({ rule }) => rule))];
  throw new BuildError("DOCKERFILE_INVALID", `lint violation found for rules: ${rules.join(", ")}`);
}

class Walk {
  readonly found: Violation[] = [];
  readonly #input: LintInput;
  /** Names of the variables that each stage ends with. */
  readonly #variables = new Map<PlannedStage, Set<string> | undefined>();
  /** Stages, by the first that they stand on, that have set a SHELL. */
  readonly #shells = new Set<PlannedStage>();
  readonly #args = new Map<PlannedStage, ReadonlySet<string>>();
  /** Those that have said a WORKDIR. */
  readonly #workdirs = new Set<PlannedStage>();

  constructor(input: LintInput) {
    this.#input = input;
  }

  #report(rule: RuleName, { range }: { readonly range: SourceRange }, message: string): void {
    if (counts(rule, this.#input.options)) this.found.push({ rule, message, range });
  }

  /** What each instruction says by itself. */
  words(): void {
    const { file } = this.#input;
    for (const { range } of file.warnings) {
      this.#report("NoEmptyContinuation", { range }, "Empty continuation line");
    }
    for (const arg of file.globalArgs)
      this.#definition(
        arg,
        arg.args.map(({ key }) => key),
      );
    for (const { from, instructions } of file.stages) {
      const { word, as, name } = fromWords(from);
      if (name !== "" && name !== name.toLowerCase()) {
        this.#report("StageNameCasing", from, `Stage name '${name}' should be lowercase`);
      }
      const isLower = word === word.toLowerCase();
      // Keywords that are neither are told of elsewhere.
      const isPlain = isLower || isUpper(word);
      if (as !== "" && isPlain && as !== (isLower ? as.toLowerCase() : as.toUpperCase())) {
        const message = `'${as}' and '${word}' keywords' casing do not match`;
        this.#report("FromAsCasing", from, message);
      }
      if (name !== "") this.#definition(from, [name]);
      for (const each of instructions) {
        if (each.kind === "MAINTAINER") {
          const message = "Maintainer instruction is deprecated in favor of using label";
          this.#report("MaintainerDeprecated", each, message);
        }
        if (each.kind === "ARG")
          this.#definition(
            each,
            each.args.map(({ key }) => key),
          );
      }
    }
  }

  #definition(instruction: Instruction, names: readonly string[]): void {
    const comment = instruction.comments.at(-1);
    const [first = ""] = names;
    if (comment === undefined || names.includes(comment.split(" ")[0] ?? "")) return;
    const example = names.length > 1 ? "<arg_key>" : first;
    this.#report(
      "InvalidDefinitionDescription",
      instruction,
      `Comment for ${instruction.kind} should follow the format: \`# ${example} <description>\``,
    );
  }

  names(): void {
    const known = new Set<string>();
    for (const { from } of this.#input.file.stages) {
      const { name } = from;
      if (name === undefined) continue;
      const text = JSON.stringify(name);
      if (RESERVED.has(name)) {
        const message = `Stage name should not use the same name as reserved stage ${text}`;
        this.#report("ReservedStageName", from, message);
      }
      if (known.has(name)) {
        const message = `Duplicate stage name ${text}, stage names should be unique`;
        this.#report("DuplicateStageName", from, message);
      }
      known.add(name);
    }
  }

  /** Most instructions decide how all are to be written. */
  casing(): void {
    const all = this.#input.file.stages.flatMap(({ from, instructions }) => [
      from,
      ...instructions,
    ]);
    const words = all.map((each) => ({ each, word: firstWord(each) }));
    const lower = words.filter(({ word }) => word === word.toLowerCase()).length;
    const upper = words.filter(({ word }) => isUpper(word)).length;
    const isLower = lower > upper;
    for (const { each, word } of words) {
      if (word === (isLower ? word.toLowerCase() : word.toUpperCase())) continue;
      const majority = isLower ? "lowercase" : "uppercase";
      const message = `Command '${word}' should match the case of the command majority (${majority})`;
      this.#report("ConsistentInstructionCasing", each, message);
    }
  }

  /** What FROM names. */
  bases(): void {
    const { file, globals, platforms } = this.#input;
    const declared = file.globalArgs.flatMap(({ args }) => args.map(({ key }) => key));
    const known = [...new Set([...globals.keys(), ...declared])];
    const defaults = silently(() => globalVariables(file, platforms, new Map()));
    for (const { from } of file.stages) {
      if (defaults !== undefined) {
        const name = silently(() => expand(from.base, defaults, file)) ?? "scratch";
        if (silently(() => parseReference(name)) === undefined) {
          const what = `Default value for ARG ${from.base}`;
          const message = `${what} results in empty or invalid base image name`;
          this.#report("InvalidDefaultArgInFrom", from, message);
        }
      }
      for (const text of [from.base, from.platform ?? ""]) {
        for (const name of this.#unset(text, globals)) {
          if (declared.includes(name)) continue;
          const near = suggestion(name, known);
          const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
          const message = `FROM argument '${name}' is not declared${hint}`;
          this.#report("UndefinedArgInFrom", from, message);
        }
      }
      if (from.platform !== undefined) this.#platform(from, from.platform);
    }
  }

  #platform(from: From, platform: string): void {
    if (/^\$(?:TARGETPLATFORM|\{TARGETPLATFORM\})$/.test(platform)) {
      const message =
        `Setting platform to predefined ${platform} in FROM is redundant ` +
        "as this is the default behavior";
      this.#report("RedundantTargetPlatform", from, message);
    }
    if (platform === "" || platform.includes("$")) return;
    // A name that says which platform the stage is for makes it plain that it is meant.
    const { name = "" } = from;
    if (
      platform
        .split("/")
        .slice(0, 2)
        .some((each) => name.includes(each))
    )
      return;
    const message = `FROM --platform flag should not use constant value ${JSON.stringify(platform)}`;
    this.#report("FromPlatformFlagConstDisallowed", from, message);
  }

  /** One stage, after those that it stands on. */
  stage(planned: PlannedStage, variablesOf: StagesInput["variablesOf"]): void {
    const { base, stage } = planned;
    if (base !== undefined && !this.#variables.has(base)) this.stage(base, variablesOf);
    if (this.#variables.has(planned)) return;
    const own = base === undefined ? variablesOf(planned) : this.#variables.get(base);
    const variables = own === undefined ? undefined : new Set(["PATH", ...own]);
    if (base !== undefined && this.#shells.has(base)) this.#shells.add(planned);
    if (base !== undefined && this.#workdirs.has(base)) this.#workdirs.add(planned);
    const args = new Set<string>(base === undefined ? [] : this.#args.get(base));
    this.#args.set(planned, args);
    const once = new Map<Instruction["kind"], Instruction>();
    this.#variables.set(planned, variables);
    for (const each of stage.instructions) {
      if (variables !== undefined) this.#undefined(each, new Set([...variables, ...args]), args);
      const before = once.get(each.kind);
      if (ONCE.has(each.kind)) {
        if (before !== undefined) {
          const message =
            `Multiple ${firstWord(before)} instructions should not be used in the same stage ` +
            "because only the last one will be used";
          this.#report("MultipleInstructionsDisallowed", before, message);
        }
        once.set(each.kind, each);
      }
      if (each.kind === "WORKDIR") {
        if (!this.#workdirs.has(planned) && !each.value.startsWith("/")) {
          const what = `Relative workdir ${JSON.stringify(each.value)}`;
          const message = `${what} can have unexpected results if the base image changes`;
          this.#report("WorkdirRelativePath", each, message);
        }
        this.#workdirs.add(planned);
      } else if (each.kind === "SHELL") this.#shells.add(planned);
      else if (each.kind === "ENV") for (const { key } of each.pairs) variables?.add(key);
      else if (each.kind === "ARG") for (const { key } of each.args) args.add(key);
      this.#instruction(each, planned);
    }
  }

  #instruction(each: Instruction, planned: PlannedStage): void {
    switch (each.kind) {
      case "ENV":
      case "LABEL":
        for (const { key, spaced } of each.pairs) {
          const name = firstWord(each);
          if (each.kind === "ENV") this.#secret(each, key);
          if (!spaced) continue;
          const message = `"${name} key=value" should be used instead of legacy "${name} key value" format`;
          this.#report("LegacyKeyValueFormat", each, message);
        }
        break;
      case "ARG":
        for (const { key } of each.args) this.#secret(each, key);
        break;
      case "CMD":
      case "ENTRYPOINT":
        if (each.command.shell && each.command.words.length > 0 && !this.#shells.has(planned)) {
          const message =
            `JSON arguments recommended for ${firstWord(each)} ` +
            "to prevent unintended behavior related to OS signals";
          this.#report("JSONArgsRecommended", each, message);
        }
        break;
      case "EXPOSE":
        for (const port of each.values) this.#port(each, port);
        break;
      case "COPY":
      case "ADD":
        this.#ignored(each);
        break;
      default:
    }
  }

  #secret(instruction: Instruction, key: string): void {
    if (!SECRET.test(key) || NO_SECRET.test(key)) return;
    const what = `${instruction.kind} ${JSON.stringify(key)}`;
    const message = `Do not use ARG or ENV instructions for sensitive data (${what})`;
    this.#report("SecretsUsedInArgOrEnv", instruction, message);
  }

  #port(instruction: Instruction, port: string): void {
    const [, protocol = ""] = /\/([a-zA-Z]+)$/.exec(port) ?? [];
    if (protocol !== protocol.toLowerCase()) {
      const message = `Defined protocol '${port}' in EXPOSE instruction should be lowercase`;
      this.#report("ExposeProtoCasing", instruction, message);
    }
    if (/^[^$]*:/.test(port)) {
      const message =
        "EXPOSE instruction should not define an IP address or host-port mapping, " +
        `found '${port}'`;
      this.#report("ExposeInvalidFormat", instruction, message);
    }
  }

  #ignored(instruction: CopyOrAdd): void {
    const { ignore } = this.#input;
    if (ignore === undefined || instruction.from !== undefined) return;
    const word = instruction.kind === "ADD" ? "Add" : "Copy";
    for (const source of instruction.sources) {
      if (/^[a-z]+:\/\//i.test(source)) continue;
      const path = cleanPath(`/${source}`).slice(1);
      if (!ignore.excludes(fromText(path))) continue;
      const message = `Attempting to ${word} file ${JSON.stringify(source)} that is excluded by .dockerignore`;
      this.#report("CopyIgnoredFile", instruction, message);
    }
  }

  /** Variables that are used and that nothing has said anything of. */
  #undefined(each: Instruction, known: ReadonlySet<string>, args: ReadonlySet<string>): void {
    const variables = new Map([...known].map((name) => [name, ""]));
    const names = new Set(expandedTexts(each).flatMap((text) => this.#unset(text, variables)));
    for (const name of names) {
      if (args.has(name)) continue;
      const near = suggestion(name, [...known]);
      const hint = near === undefined ? "" : ` (did you mean $${near}?)`;
      this.#report("UndefinedVar", each, `Usage of undefined variable '$${name}'${hint}`);
    }
  }

  #unset(text: string, variables: ReadonlyMap<string, string>): readonly string[] {
    const names: string[] = [];
    const { escapeToken } = this.#input.file;
    const onUnset = (name: string) => names.push(name);
    silently(() => splitWords(text, variables, { escapeToken, onUnset }));
    return names;
  }
}

/** The parts of an instruction in which variables are replaced, by the builder and not by a shell. */
function expandedTexts(each: Instruction): readonly string[] {
  switch (each.kind) {
    case "ENV":
    case "LABEL":
      return each.pairs.flatMap(({ key, value }) => [key, value]);
    case "ARG":
      return each.args.flatMap(({ value }) => value ?? []);
    case "WORKDIR":
    case "USER":
    case "STOPSIGNAL":
      return [each.value];
    case "EXPOSE":
    case "VOLUME":
      return each.values;
    case "COPY":
    case "ADD":
      return [...each.sources, each.destination, each.chown ?? "", each.chmod ?? ""];
    default:
      return [];
  }
}

function firstWord({ original }: Instruction): string {
  return /^\S+/.exec(original)?.[0] ?? "";
}

function isUpper(word: string): boolean {
  return word === word.toUpperCase();
}

/** FROM's keywords and its name as they are written. */
function fromWords(from: From): {
  readonly word: string;
  readonly as: string;
  readonly name: string;
} {
  const [, as = "", name = ""] =
    from.name === undefined ? [] : (/\s(as)\s+(\S+)\s*$/i.exec(from.original) ?? []);
  return { word: firstWord(from), as, name };
}

/** What cannot be expanded is refused where it is used, and not here. */
function silently<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
