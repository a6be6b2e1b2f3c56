import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fromText } from "../../sentry/abi/bytes.ts";
import type { Digest } from "../../sentry/image/digest.ts";
import { writeLayer } from "../../sentry/image/layer-writer.ts";
import { FileLock } from "../../sentry/image/lock.ts";
import { hostPlatform, isaOf, platformName } from "../../sentry/image/platform.ts";
import { writeTar } from "../../sentry/image/tar-writer.ts";
import type { MountSpec } from "../../sentry/spec.ts";
import { chomped, type Heredoc, heredocOf } from "../dockerfile/heredoc.ts";
import type { Run } from "../dockerfile/instruction.ts";
import { type MountFlag, parseMountFlag } from "../dockerfile/mount-flag.ts";
import { cleanPath, joinPath } from "../dockerfile/path.ts";
import { BuildError } from "../errors.ts";
import { SECRET_BYTES_MAX } from "../limits.ts";
import type { Build, StageRun } from "./build.ts";
import { planCopy } from "./copy.ts";
import { withShell, word } from "./metadata.ts";
import { stepKey } from "./step-cache.ts";
import { stepName } from "./step-name.ts";
import { proxyVariables } from "./variables.ts";

/** What a step's containers are called inside, as BuildKit has it. */
const HOSTNAME = "buildkitsandbox";
const HEREDOC_DIRECTORY = "/dev/pipes";

/** What a step sees besides the layers, and what of it decides whether it has been done before. */
interface StepMounts {
  readonly mounts: MountSpec[];
  readonly env: string[];
  readonly key: unknown[];
  /** Held while the step runs. */
  readonly locks: FileLock[];
  /** Ends what serves the step, such as an agent's socket. */
  readonly end: AbortController;
}

/** Does a RUN: a container on the stage's layers, whose changes become a layer. */
export async function runStep(build: Build, run: StageRun, instruction: Run): Promise<void> {
  const { state } = run;
  const { request } = build;
  const script = scriptOf(instruction);
  const argv = argvOf(build, run, instruction, script);
  const name = `${run.nextPrefix()}${stepName(state, instruction, build.file.escapeToken)}`;
  const inputs = run.input === undefined ? [] : [run.input];
  await build.progress.run(name, inputs, async (report) => {
    run.input = report.vertex.digest;
    const flags = instruction.mounts.map((text) =>
      parseMountFlag(text, (value) => word(state, value, build.metadata)),
    );
    const mounts: StepMounts = {
      mounts: [],
      env: [],
      key: [],
      locks: [],
      end: new AbortController(),
    };
    const network = instruction.network === "default" ? request.network : instruction.network;
    const env = [...state.variables].map(([key, value]) => `${key}=${value}`);
    try {
      for (const flag of flags) await addMount(build, run, flag, mounts);
      const key = stepKey(state.layers, {
        kind: "run",
        argv,
        env,
        cwd: state.workingDirectory,
        user: state.user,
        network,
        hosts: request.extraHosts,
        mounts: mounts.key,
        script: script?.content,
      });
      let made = run.useCache ? await build.cache.find(key) : undefined;
      if (made !== undefined) {
        report.cached();
        request.instructions?.usingCache();
      } else {
        if (script !== undefined) await addScript(build, script, mounts);
        for (const flag of flags) await addPrivateMount(build, run, flag, mounts);
        const layer = await execute(build, run, {
          argv,
          env: [...proxyVariables(request.buildArgs), ...env, ...mounts.env],
          mounts: mounts.mounts,
          network,
          output: (stream, bytes) => {
            report.log(stream, bytes);
            request.instructions?.log(stream, bytes);
          },
        });
        made = await build.cache.add(key, [layer], name);
      }
      state.commit(`RUN ${historyText(run, argv)} # buildkit`, made);
    } finally {
      mounts.end.abort();
      await Promise.all(mounts.locks.map((lock) => lock.release()));
    }
  });
}

/** The arguments that a stage has, before the command, as BuildKit's history has it. */
function historyText({ state }: StageRun, argv: readonly string[]): string {
  const args = [...state.args].map(([key, value]) => `${key}=${value}`);
  const before = args.length === 0 ? [] : [`|${args.length}`, ...args];
  return [...before, ...argv].join(" ");
}

/** A here-document that is a program of its own: its first line says of what. */
function scriptOf({ command, heredocs }: Run): Heredoc | undefined {
  const [first] = heredocs;
  if (first === undefined || heredocOf(command.words[0] ?? "") === undefined) return undefined;
  return first.content.startsWith("#!") ? first : undefined;
}

function argvOf(
  build: Build,
  run: StageRun,
  { command, heredocs }: Run,
  script: Heredoc | undefined,
): readonly string[] {
  if (script !== undefined) return [`${HEREDOC_DIRECTORY}/${script.name}`];
  const [text = ""] = command.words;
  const [first] = heredocs;
  let words = command.words;
  if (first !== undefined) {
    const whole = heredocs.map(({ content, name }) => `\n${content}${name}`).join("");
    words = [heredocOf(text) === undefined ? text + whole : chomped(first)];
  }
  const argv = withShell(run.state, { ...command, words });
  if (argv.length > 0) return argv;
  throw new BuildError("BUILD_INVALID", `no command in RUN of ${build.request.dockerfileName}`);
}

/** The mounts that decide what a step does, as far as they do. */
async function addMount(
  build: Build,
  run: StageRun,
  flag: MountFlag,
  { mounts, key }: StepMounts,
): Promise<void> {
  const { type, readOnly, mode } = flag;
  const at = targetOf(run, flag);
  if (type === "tmpfs") {
    if (flag.target === "")
      throw new BuildError("DOCKERFILE_INVALID", "target is required for tmpfs");
    const size = flag.sizeBytes === undefined ? {} : { sizeBytes: flag.sizeBytes };
    mounts.push({ kind: "tmpfs", target: fromText(at), readOnly, noexec: false, ...size });
    key.push([type, at, flag.sizeBytes]);
    return;
  }
  if (type !== "bind") {
    key.push([
      type,
      at,
      flag.id,
      flag.env,
      readOnly,
      mode,
      flag.uid,
      flag.gid,
      flag.from,
      flag.source,
    ]);
    return;
  }
  const tree =
    flag.from === ""
      ? await build.sources.context()
      : await build.sources.from(flag.from, run.planned);
  const path = cleanPath(`/${flag.source}`);
  const root = build.trees.root(tree.directories);
  let digest = "";
  if (root !== undefined) {
    const plan = planCopy({
      sources: [{ kind: "path", root, pattern: escaped(path), asRoot: tree.isContext }],
      destination: "/",
      isDirectory: true,
      below: undefined,
      owner: undefined,
      mode: undefined,
      exclude: undefined,
      parents: false,
      now: 0n,
      missing: () =>
        new BuildError(
          "BUILD_NOT_FOUND",
          `failed to compute cache key: failed to calculate checksum of ref: ${JSON.stringify(path)}: not found`,
        ),
    });
    digest = await plan.digest();
  }
  key.push([type, at, readOnly, digest]);
  mounts.push({
    kind: "tree",
    layers: tree.directories.map(fromText),
    path: fromText(path),
    target: fromText(at),
    readOnly,
  });
}

function escaped(path: string): string {
  return fromText(path.replace(/[*?[\\]/g, "\\$&"));
}

function targetOf(run: StageRun, flag: MountFlag): string {
  const { type, target } = flag;
  if (target !== "") return joinPath(run.state.workingDirectory, target);
  if (type === "secret") return `/run/secrets/${secretId(flag).split("/").at(-1) ?? ""}`;
  if (type === "ssh") return "/run/buildkit/ssh_agent.0";
  return run.state.workingDirectory;
}

function secretId({ id, source, target }: MountFlag): string {
  return id || source || target.split("/").at(-1) || "";
}

/** The mounts that are made only for a step that really runs. */
async function addPrivateMount(
  build: Build,
  run: StageRun,
  flag: MountFlag,
  step: StepMounts,
): Promise<void> {
  if (flag.type === "cache") await addCache(build, run, flag, step);
  else if (flag.type === "secret") await addSecret(build, run, flag, step);
  else if (flag.type === "ssh") await addAgent(build, run, flag, step);
}

/**
 * A directory that steps keep between builds. A tree of its own with one user at a time, whatever `sharing` says:
 * others wait, so none sees half of what another does.
 */
async function addCache(
  build: Build,
  run: StageRun,
  flag: MountFlag,
  { mounts, locks }: StepMounts,
): Promise<void> {
  const at = targetOf(run, flag);
  const id = createHash("sha256")
    .update(flag.id || at)
    .digest("hex");
  const directory = join(build.cacheMounts, id);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  locks.push(await FileLock.acquire(`${directory}.lock`, "exclusive", build.request.signal));
  const from = flag.from === "" ? undefined : await build.sources.from(flag.from, run.planned);
  mounts.push({
    kind: "tree",
    layers: (from?.directories ?? []).map(fromText),
    upper: fromText(directory),
    path: fromText(from === undefined ? "/" : cleanPath(`/${flag.source}`)),
    target: fromText(at),
    readOnly: flag.readOnly,
    mode: flag.mode ?? 0o755,
    uid: flag.uid ?? 0,
    gid: flag.gid ?? 0,
  });
}

async function addSecret(
  build: Build,
  run: StageRun,
  flag: MountFlag,
  { mounts, env }: StepMounts,
): Promise<void> {
  const id = secretId(flag);
  const bytes = await build.request.secrets.secret(id);
  if (bytes === undefined) {
    if (flag.required) throw new BuildError("BUILD_NOT_FOUND", `secret ${id}: not found`);
    return;
  }
  if (bytes.length > SECRET_BYTES_MAX) {
    throw new BuildError("BUILD_INPUT", `secret ${id} has more than ${SECRET_BYTES_MAX} bytes`);
  }
  if (flag.env !== undefined) {
    env.push(`${flag.env}=${Buffer.from(bytes).toString("utf8")}`);
    if (flag.target === "") return;
  }
  mounts.push(await fileMount(build, "secret", bytes, targetOf(run, flag), flag));
}

async function addScript(build: Build, script: Heredoc, step: StepMounts): Promise<void> {
  const target = `${HEREDOC_DIRECTORY}/${script.name}`;
  const bytes = Buffer.from(chomped(script));
  const facts = { mode: 0o755, uid: 0, gid: 0, readOnly: true };
  step.mounts.push(await fileMount(build, "script", bytes, target, facts));
}

/** A mount of one file that is no part of the image. */
async function fileMount(
  build: Build,
  what: string,
  bytes: Uint8Array,
  target: string,
  facts: Pick<MountFlag, "mode" | "uid" | "gid" | "readOnly">,
): Promise<MountSpec> {
  const directory = build.work.fresh(what);
  const entry = {
    path: "file",
    type: "file",
    mode: facts.mode ?? 0o400,
    uid: facts.uid ?? 0,
    gid: facts.gid ?? 0,
    size: bytes.length,
    mtime: 0n,
    link: "",
    major: 0,
    minor: 0,
    xattrs: new Map(),
  } as const;
  await writeLayer(writeTar([{ entry, content: bytes.length === 0 ? [] : [bytes] }]), directory);
  return {
    kind: "tree",
    layers: [fromText(directory)],
    path: "/file",
    target: fromText(target),
    readOnly: facts.readOnly,
  };
}

async function addAgent(
  build: Build,
  run: StageRun,
  flag: MountFlag,
  { mounts, env, end }: StepMounts,
): Promise<void> {
  const id = flag.id || "default";
  const socket = await build.request.secrets.agentSocket(id, end.signal);
  if (socket === undefined) {
    if (!flag.required) return;
    throw new BuildError(
      "BUILD_NOT_FOUND",
      `no SSH key ${JSON.stringify(id)} forwarded from the client`,
    );
  }
  const target = targetOf(run, flag);
  env.push(`SSH_AUTH_SOCK=${target}`);
  mounts.push({
    kind: "bind",
    source: fromText(socket),
    target: fromText(target),
    readOnly: false,
  });
}

interface Execution {
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly mounts: readonly MountSpec[];
  readonly network: string;
  readonly output: (stream: 1 | 2, bytes: Uint8Array) => void;
}

/** Runs the command. @returns the layer of what it has changed */
async function execute(build: Build, run: StageRun, execution: Execution): Promise<Digest> {
  const { request, images } = build;
  const { state } = run;
  const isa = isaOf(state.platform);
  if (isa === undefined) {
    throw new BuildError(
      "BUILD_UNSUPPORTED",
      `RUN in an image for ${platformName(state.platform)} is not supported on this host ` +
        `(${platformName(hostPlatform())})`,
    );
  }
  let layer: Digest | undefined;
  const end = await request.steps.run(
    {
      ...execution,
      isa,
      layers: build.trees.directories(
        // A root with nothing in it is a layer, too.
        state.layers.length > 0 ? state.layers : [(await images.createLayerOf([])).diffId],
      ),
      cwd: state.workingDirectory,
      user: state.user,
      hostname: request.hostname ?? HOSTNAME,
      extraHosts: request.extraHosts,
      limits: request.limits,
      shmBytes: request.shmBytes,
      started: (id) => request.instructions?.running(id),
      signal: request.signal,
    },
    async (changes) => {
      layer = (await images.createLayer(changes)).diffId;
    },
  );
  if (request.signal.aborted) throw new BuildError("BUILD_CANCELED", "context canceled");
  if (end.kind === "done" && layer !== undefined) return layer;
  const exitCode = end.kind === "failed" ? end.exitCode : 1;
  const command = execution.argv.join(" ");
  const why = end.kind === "failed" && end.message !== undefined ? `: ${end.message}` : "";
  throw new BuildError(
    "STEP_FAILED",
    request.instructions === undefined
      ? `process ${JSON.stringify(command)} did not complete successfully: exit code: ${exitCode}${why}`
      : `The command '${command}' returned a non-zero code: ${exitCode}${why}`,
    { exitCode },
  );
}
