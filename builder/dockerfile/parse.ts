import { at, BuildError } from "../errors.ts";
import { parseDuration } from "./duration.ts";
import { parseFlags, suggestion } from "./flags.ts";
import { heredocOf } from "./heredoc.ts";
import type { CommandLine, CopyOrAdd, From, Instruction, Kind, Stage } from "./instruction.ts";
import { type Line, type Lines, readLines, splitInstruction, type Warning } from "./lines.ts";
import { csvFields } from "./mount-flag.ts";
import { blankSeparated, jsonStrings, pairs, quotedWords } from "./words.ts";

type Arg = Extract<Instruction, { kind: "ARG" }>;

/** A Dockerfile that reads well. */
export interface Dockerfile {
  /** The ARGs before the first FROM. */
  readonly globalArgs: readonly Arg[];
  readonly stages: readonly Stage[];
  readonly escapeToken: "\\" | "`";
  readonly syntax: string | undefined;
  /** `# check=`. */
  readonly check: string | undefined;
  readonly warnings: readonly Warning[];
}

/**
 * Reads a Dockerfile.
 * @throws {BuildError} DOCKERFILE_INVALID with the place, in BuildKit's words
 */
export function parseDockerfile(bytes: Uint8Array): Dockerfile {
  const file = readLines(bytes);
  const globalArgs: Arg[] = [];
  const stages: { from: From; instructions: Exclude<Instruction, From>[] }[] = [];
  for (const line of file.lines) {
    const instruction = parseNumbered(line, file);
    if (instruction.kind === "FROM") stages.push({ from: instruction, instructions: [] });
    else if (stages.length > 0) stages.at(-1)?.instructions.push(instruction);
    else if (instruction.kind === "ARG") globalArgs.push(instruction);
    else {
      const { range } = instruction;
      throw new BuildError("DOCKERFILE_INVALID", "no build stage in current context", { range });
    }
  }
  if (stages.length === 0) {
    throw new BuildError("DOCKERFILE_INVALID", "dockerfile contains no stages to build");
  }
  const { escapeToken, syntax, check, warnings } = file;
  return { globalArgs, stages, escapeToken, syntax, check, warnings };
}

/**
 * Reads one instruction, such as the trigger of an ONBUILD.
 * @throws {BuildError} DOCKERFILE_INVALID
 */
export function parseTrigger(text: string): Exclude<Instruction, From> {
  const file = readLines(Buffer.from(text));
  const [line] = file.lines;
  if (line === undefined) throw invalid("file with no instructions");
  const instruction = parseNumbered(line, file);
  if (instruction.kind === "FROM") throw invalid("FROM isn't allowed as an ONBUILD trigger");
  return instruction;
}

function parseNumbered(line: Line, file: Lines): Instruction {
  try {
    return at(line.range, () => parseLine(line, file.escapeToken));
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    const message = `dockerfile parse error on line ${line.range.start}: ${error.message}`;
    throw new BuildError(error.code, message, { range: error.range });
  }
}

function invalid(message: string): BuildError {
  return new BuildError("DOCKERFILE_INVALID", message);
}

/** How each instruction's arguments are read. */
const PARSERS: {
  readonly [K in Kind]: (line: Line, escapeToken: "\\" | "`", kind: K) => Instruction;
} = {
  FROM: from,
  RUN: run,
  COPY: copy,
  ADD: copy,
  ENV: pairList,
  LABEL: pairList,
  ARG: arg,
  CMD: command,
  ENTRYPOINT: command,
  SHELL: shell,
  WORKDIR: single,
  USER: single,
  STOPSIGNAL: single,
  MAINTAINER: single,
  EXPOSE: list,
  VOLUME: list,
  HEALTHCHECK: healthCheck,
  ONBUILD: onBuild,
};

/** Names of all instructions. */
export const INSTRUCTIONS = Object.keys(PARSERS) as readonly Kind[];

function parseLine(line: Line, escapeToken: "\\" | "`"): Instruction {
  const kind = INSTRUCTIONS.find((name) => name === line.name.toUpperCase());
  if (kind === undefined) {
    const near = suggestion(line.name, INSTRUCTIONS);
    const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
    throw invalid(`unknown instruction: ${line.name}${hint}`);
  }
  const parse = PARSERS[kind] as (line: Line, escapeToken: "\\" | "`", kind: Kind) => Instruction;
  return parse(line, escapeToken, kind);
}

function base({ original, range, comments }: Line): Pick<Line, "original" | "range" | "comments"> {
  return { original: original.trim(), range, comments };
}

function noFlags(line: Line): void {
  parseFlags(line.flags, {});
}

function from(line: Line): Instruction {
  const { platform } = parseFlags(line.flags, { platform: "string" } as const);
  const words = blankSeparated(line.rest);
  const [image = "", as = "", name] = words;
  if (words.length === 3 && as.toLowerCase() === "as" && name !== undefined) {
    if (!/^[a-z][a-z0-9-_.]*$/i.test(name)) {
      throw invalid(
        `invalid name for build stage: ${JSON.stringify(name)}, ` +
          "name can't start with a number or contain symbols",
      );
    }
    return { kind: "FROM", ...base(line), base: image, name: name.toLowerCase(), platform };
  }
  if (words.length !== 1) throw invalid("FROM requires either one or three arguments");
  return { kind: "FROM", ...base(line), base: image, name: undefined, platform };
}

function commandLine(rest: string): CommandLine {
  const words = rest === "" ? undefined : jsonStrings(rest);
  return words === undefined
    ? { words: rest === "" ? [] : [rest], shell: true }
    : { words, shell: false };
}

function run(line: Line): Instruction {
  const flags = parseFlags(line.flags, {
    mount: "strings",
    network: "string",
    security: "string",
  } as const);
  const { network = "default", security = "sandbox" } = flags;
  if (network !== "default" && network !== "none" && network !== "host") {
    throw invalid(`unsupported network mode ${JSON.stringify(network)}`);
  }
  if (security !== "sandbox" && security !== "insecure") {
    throw invalid(`unsupported security mode ${JSON.stringify(security)}`);
  }
  const command = commandLine(line.rest);
  // What has to be looked up later is at least well formed.
  for (const mount of flags.mount) {
    for (const field of csvFields(mount)) {
      if (/^from=.*\$./is.test(field)) {
        throw invalid("'from' doesn't support variable expansion, define alias stage instead");
      }
    }
  }
  const { heredocs } = line;
  return { kind: "RUN", ...base(line), command, heredocs, mounts: flags.mount, network, security };
}

function copy(line: Line, _escape: string, kind: "COPY" | "ADD"): Instruction {
  const words = jsonStrings(line.rest) ?? blankSeparated(line.rest);
  if (words.length < 2) {
    throw invalid(
      `${kind} requires at least two arguments, but only one was provided. ` +
        "Destination could not be determined",
    );
  }
  const common = {
    chown: "string",
    chmod: "string",
    link: "boolean",
    exclude: "strings",
  } as const;
  const own =
    kind === "COPY"
      ? { ...parseFlags(line.flags, { ...common, from: "string", parents: "boolean" } as const) }
      : {
          ...parseFlags(line.flags, {
            ...common,
            checksum: "string",
            "keep-git-dir": "boolean",
            unpack: "boolean",
          } as const),
        };
  const destination = words.at(-1) ?? "";
  if (heredocOf(destination) !== undefined) {
    throw invalid(`${kind} cannot accept a heredoc as a destination`);
  }
  if ("from" in own && own.from?.includes("$") === true) {
    throw invalid(
      "variable expansion is not supported for --from, define a new stage with FROM " +
        "using ARG from global scope as a workaround",
    );
  }
  const sources = words.slice(0, -1);
  const named = (source: string) => {
    const name = heredocOf(source)?.name;
    return line.heredocs.find((heredoc) => heredoc.name === name);
  };
  return {
    kind,
    ...base(line),
    sources: sources.filter((source) => named(source) === undefined),
    contents: sources.flatMap((source) => named(source) ?? []),
    destination,
    from: "from" in own ? own.from : undefined,
    chown: own.chown,
    chmod: own.chmod,
    link: own.link === true,
    parents: "parents" in own && own.parents === true,
    exclude: own.exclude,
    checksum: "checksum" in own ? own.checksum : undefined,
    keepGitDir: "keep-git-dir" in own && own["keep-git-dir"] === true,
    unpack: "unpack" in own ? own.unpack : undefined,
  } satisfies CopyOrAdd;
}

function pairList(line: Line, escapeToken: string, kind: "ENV" | "LABEL"): Instruction {
  noFlags(line);
  return { kind, ...base(line), pairs: pairs(line.rest, kind, escapeToken) };
}

function arg(line: Line, escapeToken: string): Instruction {
  noFlags(line);
  const words = quotedWords(line.rest, escapeToken);
  if (words.length === 0) throw invalid("ARG requires at least one argument");
  const args = words.map((word) => {
    const equals = word.indexOf("=");
    if (equals === 0) throw invalid("ARG names can not be blank");
    return equals < 0
      ? { key: word, value: undefined }
      : { key: word.slice(0, equals), value: word.slice(equals + 1) };
  });
  return { kind: "ARG", ...base(line), args };
}

function command(line: Line, _escape: string, kind: "CMD" | "ENTRYPOINT"): Instruction {
  noFlags(line);
  return { kind, ...base(line), command: commandLine(line.rest) };
}

function shell(line: Line): Instruction {
  noFlags(line);
  const words = jsonStrings(line.rest);
  if (line.rest === "" || words?.length === 0)
    throw invalid("SHELL requires at least one argument");
  if (words === undefined) {
    throw invalid(
      `SHELL requires the arguments to be in JSON form\n${line.original.trim()}`.split("\n")[0] ??
        "",
    );
  }
  return { kind: "SHELL", ...base(line), words };
}

type Single = "WORKDIR" | "USER" | "STOPSIGNAL" | "MAINTAINER";

function single(line: Line, _escape: string, kind: Single): Instruction {
  noFlags(line);
  if (line.rest === "") throw invalid(`${kind} requires exactly one argument`);
  return { kind, ...base(line), value: line.rest };
}

function list(line: Line, _escape: string, kind: "EXPOSE" | "VOLUME"): Instruction {
  noFlags(line);
  const values =
    (kind === "VOLUME" ? jsonStrings(line.rest) : undefined) ?? blankSeparated(line.rest);
  if (values.length === 0) throw invalid(`${kind} requires at least one argument`);
  if (kind === "VOLUME" && values.some((value) => value.trim() === "")) {
    throw invalid("VOLUME specified can not be an empty string");
  }
  return { kind, ...base(line), values };
}

/** Docker's least duration of a health check's parts. */
const DURATION_MIN = 1e6;

function interval(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const duration = parseDuration(value);
  if (duration === undefined) throw invalid(`time: invalid duration ${JSON.stringify(value)}`);
  if (duration !== 0 && duration < DURATION_MIN) {
    throw invalid(`Interval ${JSON.stringify(name)} cannot be less than 1ms`);
  }
  return duration;
}

function healthCheck(line: Line): Instruction {
  const [, type = "", rest = ""] = /^(\S+)\s*(.*)$/s.exec(line.rest) ?? [];
  if (type === "") throw invalid("HEALTHCHECK requires at least one argument");
  if (type.toUpperCase() === "NONE") {
    noFlags(line);
    if (rest !== "") throw invalid("HEALTHCHECK NONE takes no arguments");
    return { kind: "HEALTHCHECK", ...base(line), check: { Test: ["NONE"] } };
  }
  const flags = parseFlags(line.flags, {
    interval: "string",
    timeout: "string",
    "start-period": "string",
    "start-interval": "string",
    retries: "string",
  } as const);
  if (type.toUpperCase() !== "CMD") {
    throw invalid(`Unknown type ${JSON.stringify(type.toUpperCase())} in HEALTHCHECK (try CMD)`);
  }
  const { words, shell: text } = commandLine(rest);
  if (words.length === 0) throw invalid("Missing command after HEALTHCHECK CMD");
  const { retries } = flags;
  if (retries !== undefined && !/^[+-]?[0-9]{1,9}$/.test(retries)) {
    throw invalid(`strconv.ParseInt: parsing ${JSON.stringify(retries)}: invalid syntax`);
  }
  if (Number(retries ?? 0) < 0) throw invalid(`--retries cannot be negative (${Number(retries)})`);
  const parts = {
    Interval: interval("interval", flags.interval),
    Timeout: interval("timeout", flags.timeout),
    StartPeriod: interval("start-period", flags["start-period"]),
    StartInterval: interval("start-interval", flags["start-interval"]),
    Retries: retries === undefined ? undefined : Number(retries),
  };
  const set = Object.entries(parts).filter(([, value]) => value !== undefined && value !== 0);
  const check = { Test: [text ? "CMD-SHELL" : "CMD", ...words], ...Object.fromEntries(set) };
  return { kind: "HEALTHCHECK", ...base(line), check };
}

function onBuild(line: Line): Instruction {
  noFlags(line);
  if (line.rest === "") throw invalid("ONBUILD requires at least one argument");
  const name = splitInstruction(line.rest).name.toUpperCase();
  if (name === "ONBUILD") {
    throw invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  }
  if (name === "MAINTAINER" || name === "FROM") {
    throw invalid(`${name} isn't allowed as an ONBUILD trigger`);
  }
  const heredocs = line.heredocs.map(({ content, name: end }) => `\n${content}${end}`);
  const text = line.original.replace(/^\s*ONBUILD\s*/i, "") + heredocs.join("");
  return { kind: "ONBUILD", ...base(line), trigger: text };
}
