import { hostPlatform, type Platform } from "../../sentry/image/platform.ts";
import type { PathMatcher } from "../dockerfile/ignore.ts";
import type { From } from "../dockerfile/instruction.ts";
import { parseDockerfile } from "../dockerfile/parse.ts";
import { BuildError, type SourceRange } from "../errors.ts";
import { type PlannedStage, StageGraph } from "../solve/stages.ts";
import { globalVariables, platformArgs } from "../solve/variables.ts";
import { lintError, lintStages, lintWords, type Violation } from "./lint.ts";
import { parseLintOptions } from "./options.ts";
import { addressOf, RULES } from "./rules.ts";

/** What a client is told in place of a build, by BuildKit's names. */
export type Answer = Readonly<Record<string, Uint8Array>>;

/** What a question is about. */
export interface Asked {
  readonly dockerfile: Uint8Array;
  readonly dockerfileName: string;
  readonly target: string | undefined;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly platform: Platform | undefined;
  readonly ignore: PathMatcher | undefined;
  /** Names of the variables of an image; undefined where it is not here. */
  readonly variablesOf: (image: string) => Promise<Iterable<string> | undefined>;
}

const VERSION = "1.0.0";

/** The questions that are answered, by their names. */
const QUESTIONS: Readonly<
  Record<
    string,
    { readonly description: string; readonly answer: (asked: Asked) => Promise<Answer> }
  >
> = {
  "frontend.lint": { description: "Lint a Dockerfile", answer: lintAnswer },
  "frontend.targets": {
    description: "List all targets current build supports",
    answer: async (asked) => targetsAnswer(asked),
  },
  "frontend.subrequests.describe": {
    description: "List available subrequest types",
    answer: async () => describeAnswer(),
  },
};

/** @throws {BuildError} BUILD_UNSUPPORTED for what nobody answers here */
export async function answer(name: string, asked: Asked): Promise<Answer> {
  const question = Object.hasOwn(QUESTIONS, name) ? QUESTIONS[name] : undefined;
  if (question !== undefined) return question.answer(asked);
  throw new BuildError("BUILD_UNSUPPORTED", `unsupported request ${name}`);
}

function describeAnswer(): Answer {
  const all = Object.entries(QUESTIONS).map(([name, { description }]) => ({
    name,
    version: VERSION,
    type: "rpc",
    description,
    opts: [],
    metadata: [{ name: "result.json" }, { name: "result.txt" }],
  }));
  const text = all.map(({ name, description }) => `${name}\t${description}\n`).join("");
  return document(all, `NAME\tDESCRIPTION\n${text}`);
}

function document(json: unknown, text: string): Answer {
  return {
    "result.json": Buffer.from(JSON.stringify(json, undefined, 2)),
    "result.txt": Buffer.from(text),
    version: Buffer.from(VERSION),
  };
}

/** Each line is a range of its own, as BuildKit has it. */
export function lineRanges({ start, end }: SourceRange): readonly object[] {
  return Array.from({ length: end - start + 1 }, (_, i) => {
    const line = start + i;
    return { start: { line }, end: { line } };
  });
}

async function lintAnswer(asked: Asked): Promise<Answer> {
  const { dockerfile, dockerfileName: filename } = asked;
  const data = Buffer.from(dockerfile).toString("base64");
  const { found, error } = await check(asked);
  const warnings = found.map(({ rule, message, range }) => {
    const url = addressOf(rule);
    return {
      ruleName: rule,
      description: RULES[rule].description,
      ...(url === "" ? {} : { url }),
      detail: message,
      location: { ranges: lineRanges(range) },
    };
  });
  const results = {
    warnings,
    sources: [{ filename, language: "Dockerfile", definition: {}, data }],
    ...(error === undefined ? {} : { buildError: buildError(error) }),
  };
  const text = found.map(
    ({ rule, message, range }) =>
      `\nWARNING: ${rule} - ${addressOf(rule)}\n${message}\n${filename}:${range.start}\n`,
  );
  const isClean = found.length === 0 && error === undefined;
  return {
    ...document(results, text.join("")),
    "result.statuscode": Buffer.from(isClean ? "0" : "1"),
  };
}

function buildError({ message, range }: BuildError): object {
  return { message, location: range === undefined ? {} : { ranges: lineRanges(range) } };
}

/** All that can be found without building; what cannot be read is an error beside it. */
async function check(
  asked: Asked,
): Promise<{ readonly found: readonly Violation[]; readonly error?: BuildError }> {
  const { dockerfile, target, buildArgs, ignore } = asked;
  const found: Violation[] = [];
  try {
    const file = parseDockerfile(dockerfile);
    const targetName = target || file.stages.at(-1)?.from.name || "default";
    const platforms = platformArgs(hostPlatform(), asked.platform ?? hostPlatform(), targetName);
    const globals = globalVariables(file, platforms, buildArgs);
    const options = parseLintOptions(
      buildArgs.get("BUILDKIT_DOCKERFILE_CHECK") ?? file.check ?? "",
    );
    const input = { file, globals, platforms, ignore, options };
    found.push(...lintWords(input));
    const graph = new StageGraph(file, globals);
    // Without a target all stages are looked into.
    const looked = target ? graph.needed(graph.target(target)) : graph.stages;
    const known = new Map<string, Iterable<string> | undefined>([["scratch", []]]);
    for (const { base, baseName } of looked) {
      if (base !== undefined || known.has(baseName)) continue;
      known.set(baseName, await asked.variablesOf(baseName));
    }
    const variablesOf = ({ baseName }: PlannedStage) => known.get(baseName);
    found.push(...lintStages(input, { looked, variablesOf }));
    lintError(found, options);
    return { found };
  } catch (error) {
    if (error instanceof BuildError) return { found, error };
    throw error;
  }
}

function targetsAnswer({ dockerfile }: Asked): Answer {
  const { stages } = parseDockerfile(dockerfile);
  const targets = stages.map(({ from }, i) => ({
    ...(from.name === undefined ? {} : { name: from.name }),
    ...(i === stages.length - 1 ? { default: true } : {}),
    ...described(from),
    base: from.base,
    ...(from.platform === undefined ? {} : { platform: from.platform }),
    location: { ranges: lineRanges(from.range) },
  }));
  const text = targets.map(({ name = "", description = "", ...rest }) => {
    const title = "default" in rest ? `${name} (default)`.trim() : name;
    return `${title}\t${description}\n`;
  });
  const sources = [Buffer.from(dockerfile).toString("base64")];
  return document({ targets, sources }, `TARGET\tDESCRIPTION\n${text.join("")}`);
}

/** A comment right before a stage that begins with its name describes it. */
function described({ name, comments }: From): { readonly description?: string } {
  const own = comments.findLast((each) => name !== undefined && each.startsWith(`${name} `));
  return own === undefined ? {} : { description: own.slice((name ?? "").length).trim() };
}
