import { parseSignal } from "../../sentry/container/signal-name.ts";
import { formatDuration } from "../dockerfile/duration.ts";
import { expand, splitWords } from "../dockerfile/expand.ts";
import type { CommandLine, HealthCheck, Instruction, Kind } from "../dockerfile/instruction.ts";
import { BuildError } from "../errors.ts";
import type { StageState } from "./stage-state.ts";

/** What the instructions that make no files need to know beside the stage. */
export interface MetadataContext {
  readonly escapeToken: "\\" | "`";
  readonly buildArgs: ReadonlyMap<string, string>;
  /** The ARGs before the first FROM, and the platforms'. */
  readonly globals: ReadonlyMap<string, string>;
}

type Of<K extends Kind> = Instruction & { readonly kind: K };
type Apply<K extends Kind> = (
  state: StageState,
  instruction: Of<K>,
  context: MetadataContext,
) => string;

/** Each changes the stage and returns what the image's history says of it. */
const METADATA = {
  ENV: (state, { pairs }, context) => {
    // All see the variables as they were before the instruction.
    const set = pairs.map(
      ({ key, value }) => [word(state, key, context), word(state, value, context)] as const,
    );
    for (const [key, value] of set) state.setVariable(key, value);
    return `ENV ${set.map(([key, value]) => `${key}=${value}`).join(" ")}`;
  },
  LABEL: (state, { pairs }, context) => {
    const set = pairs.map(
      ({ key, value }) => [word(state, key, context), word(state, value, context)] as const,
    );
    state.config.Labels = { ...state.config.Labels, ...Object.fromEntries(set) };
    return `LABEL ${set.map(([key, value]) => `${key}=${value}`).join(" ")}`;
  },
  ARG: (state, { args }, context) => {
    const written = args.map(({ key: raw, value }) => {
      const key = word(state, raw, context);
      // A default that is not needed may be one that cannot be.
      const own = () =>
        value === undefined ? context.globals.get(key) : word(state, value, context);
      const chosen = context.buildArgs.get(key) ?? own();
      if (chosen === undefined) return key;
      state.variables.set(key, chosen);
      state.args.set(key, chosen);
      return `${key}=${chosen}`;
    });
    return `ARG ${written.join(" ")}`;
  },
  CMD: (state, { command }) => {
    const words = withShell(state, command);
    state.config.Cmd = words;
    state.config.ArgsEscaped = true;
    state.hasCommand = true;
    return `CMD ${goStrings(words)}`;
  },
  ENTRYPOINT: (state, { command }) => {
    const words = withShell(state, command);
    state.config.Entrypoint = words;
    if (!state.hasCommand) state.config.Cmd = null;
    return `ENTRYPOINT ${goStrings(words)}`;
  },
  SHELL: (state, { words }) => {
    state.config.Shell = words;
    return `SHELL [${words.join(" ")}]`;
  },
  USER: (state, { value }, context) => {
    const user = word(state, value, context);
    state.config.User = user;
    return `USER ${user}`;
  },
  STOPSIGNAL: (state, { value }, context) => {
    const signal = word(state, value, context);
    if (parseSignal(signal) === undefined) throw invalid(`invalid signal: ${signal}`);
    state.config.StopSignal = signal;
    return `STOPSIGNAL ${signal}`;
  },
  MAINTAINER: (state, { value }) => {
    state.author = value;
    return `MAINTAINER ${value}`;
  },
  EXPOSE: (state, { values }, context) => {
    const ports = values.flatMap((value) =>
      splitWords(value, state.variables, context).flatMap((each) => portsOf(each)),
    );
    const set = Object.fromEntries(ports.map((port) => [port, {}]));
    state.config.ExposedPorts = { ...state.config.ExposedPorts, ...set };
    return `EXPOSE [${[...new Set(ports)].sort().join(" ")}]`;
  },
  VOLUME: (state, { values }, context) => {
    const paths = values.map((value) => word(state, value, context));
    if (paths.includes("")) throw invalid("VOLUME specified can not be an empty string");
    const set = Object.fromEntries(paths.map((path) => [path, {}]));
    state.config.Volumes = { ...state.config.Volumes, ...set };
    return `VOLUME [${paths.join(" ")}]`;
  },
  HEALTHCHECK: (state, { check }) => {
    state.config.Healthcheck = check;
    return `HEALTHCHECK ${healthText(check)}`;
  },
  ONBUILD: (state, { trigger }) => {
    state.config.OnBuild = [...(state.config.OnBuild ?? []), trigger];
    return `ONBUILD ${trigger}`;
  },
} satisfies { readonly [K in Kind]?: Apply<K> };

export type MetadataKind = keyof typeof METADATA;

/** Whether an instruction only changes what the image says of itself. */
export function isMetadata(instruction: Instruction): instruction is Of<MetadataKind> {
  return Object.hasOwn(METADATA, instruction.kind);
}

/**
 * Does such an instruction.
 * @throws {BuildError} DOCKERFILE_INVALID
 */
export function applyMetadata(
  state: StageState,
  instruction: Of<MetadataKind>,
  context: MetadataContext,
): void {
  const apply = METADATA[instruction.kind] as unknown as Apply<MetadataKind>;
  state.commit(apply(state, instruction, context), undefined);
}

function invalid(message: string): BuildError {
  return new BuildError("DOCKERFILE_INVALID", message);
}

/** A word of an instruction with its variables replaced. */
export function word(
  state: StageState,
  text: string,
  { escapeToken }: Pick<MetadataContext, "escapeToken">,
): string {
  return expand(text, state.variables, { escapeToken });
}

/** What a command line executes: text goes to the stage's shell. */
export function withShell(state: StageState, { words, shell }: CommandLine): readonly string[] {
  return shell && words.length > 0 ? [...state.shell, ...words] : words;
}

/** Ports as people write them: `80`, `53/udp`, `8000-8002/tcp`, `8080:80`. */
function portsOf(text: string): readonly string[] {
  const [, first = "", last, protocol = "tcp"] =
    /^(?:[^/]*:)?([0-9]{1,5})(?:-([0-9]{1,5}))?(?:\/([a-zA-Z]+))?$/.exec(text) ?? [];
  const start = Number(first);
  const end = Number(last ?? first);
  const kind = protocol.toLowerCase();
  if (first === "" || start > 65535 || end > 65535 || end < start) {
    throw invalid(`invalid containerPort: ${text.replace(/\/.*/, "")}`);
  }
  if (!["tcp", "udp", "sctp"].includes(kind)) throw invalid(`invalid proto: ${protocol}`);
  return Array.from({ length: end - start + 1 }, (_, i) => `${start + i}/${kind}`);
}

/** `["a" "b"]`: how Go prints strings with quotes. */
export function goStrings(words: readonly string[]): string {
  return `[${words.map((each) => JSON.stringify(each)).join(" ")}]`;
}

function healthText(check: HealthCheck): string {
  const {
    Test,
    Interval = 0,
    Timeout = 0,
    StartPeriod = 0,
    StartInterval = 0,
    Retries = 0,
  } = check;
  const times = [Interval, Timeout, StartPeriod, StartInterval].map(
    (time) => `"${formatDuration(time)}"`,
  );
  const retries = `'\\x${Retries.toString(16).padStart(2, "0")}'`;
  return `&{${goStrings(Test)} ${times.join(" ")} ${retries}}`;
}
