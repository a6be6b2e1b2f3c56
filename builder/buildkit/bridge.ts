import { fromText, toText } from "../../sentry/abi/bytes.ts";
import { hostPlatform, normalise, shortPlatformName } from "../../sentry/image/platform.ts";
import type { ImageNode } from "../../sentry/image/tree.ts";
import { fileIn } from "../context/loaded.ts";
import { type Call, type Method, unary } from "../grpc/server.ts";
import { GrpcError } from "../grpc/status.ts";
import { codec } from "../proto/messages.ts";
import { imageDocument } from "../solve/solver.ts";
import { resolvePath } from "../solve/tree-path.ts";
import { type Definition, resultDefinition } from "./definition.ts";
import type { BuildkitEngine } from "./engine.ts";
import { goMode } from "./file-sync.ts";
import type { HeldResult, Job } from "./jobs.ts";
import { refuseDefinition, refuseFrontend } from "./refusals.ts";
import { workerRecord } from "./worker.ts";

const SERVICE = "/moby.buildkit.v1.frontend.LLBBridge/";
/** The header by which a client says which build a call belongs to. */
const BUILD_ID = "buildkit-controlapi-buildid";
const FILE_BYTES_MAX = 8 << 20;

/** What of the bridge there is, by BuildKit's names. */
const CAPABILITIES = [
  "solve.base",
  "solve.inlinereturn",
  "resolveimage",
  "readfile",
  "readdir",
  "statfile",
  "return",
  "returnmap",
  "importcaches",
  "proto.refarray",
  "reference.output",
  "frontend.inputs",
  "frontend.caps",
  "gateway.solve.metadata",
  "gateway.solve.evaluate",
  "gateway.evaluate",
  "gateway.warnings",
];

const EMPTY = codec<object>("Empty");
const PONG = codec<object>("PongResponse");
const SOLVE = codec<{
  readonly Definition: Definition | null;
  readonly Frontend: string;
  readonly FrontendOpt: Readonly<Record<string, string>>;
  readonly FrontendInputs: Readonly<Record<string, Definition>>;
}>("SolveRequest");
const SOLVED = codec<object>("SolveResponse");
const RETURN = codec<{
  readonly result: {
    readonly refDeprecated?: string;
    readonly ref?: { readonly id: string };
    readonly refs?: { readonly refs: Readonly<Record<string, { readonly id: string }>> };
  } | null;
  readonly error: { readonly code: number; readonly message: string } | null;
}>("ReturnRequest");
const RESOLVE = codec<{
  readonly Ref: string;
  readonly Platform: {
    readonly OS: string;
    readonly Architecture: string;
    readonly Variant: string;
  } | null;
}>("ResolveImageConfigRequest");
const RESOLVED = codec<object>("ResolveImageConfigResponse");
const READ_FILE = codec<{
  readonly Ref: string;
  readonly FilePath: string;
  readonly Range: { readonly Offset: number; readonly Length: number } | null;
}>("ReadFileRequest");
const FILE = codec<{ readonly Data: Uint8Array }>("ReadFileResponse");
const READ_DIR = codec<{ readonly Ref: string; readonly DirPath: string }>("ReadDirRequest");
const DIR = codec<object>("ReadDirResponse");
const STAT_FILE = codec<{ readonly Ref: string; readonly Path: string }>("StatFileRequest");
const STAT = codec<object>("StatFileResponse");

/** The calls that a client makes on the way of its build, beside asking for it. */
export function bridgeMethods(engine: BuildkitEngine): readonly Method[] {
  const job = (call: Call<unknown>): Job => {
    const id = String(call.headers[BUILD_ID] ?? "");
    const found = engine.jobs.find(id);
    if (found !== undefined) return found;
    throw new GrpcError("NOT_FOUND", `no such job ${id.slice(0, 100)}`);
  };
  return [
    unary(`${SERVICE}Ping`, EMPTY, PONG, async () => ({
      FrontendAPICaps: CAPABILITIES.map((ID) => ({ ID, Enabled: true })),
      LLBCaps: [],
      Workers: [workerRecord()],
    })),
    unary(`${SERVICE}Solve`, SOLVE, SOLVED, async (call) => {
      const { Definition, Frontend, FrontendOpt, FrontendInputs } = call.request;
      refuseDefinition(Definition);
      if (Frontend === "") return { result: { ref: { id: "" } } };
      const options = new Map(Object.entries(FrontendOpt));
      refuseFrontend(Frontend, options);
      const current = job(call);
      const stop = () => current.abort.abort();
      call.signal.addEventListener("abort", stop);
      try {
        if (options.has("requestid")) {
          const metadata = await engine.answer(current, options);
          return { result: { ref: { id: "" }, metadata } };
        }
        return {
          result: resultOf(await engine.solve(current, options, { inputs: FrontendInputs })),
        };
      } catch (error) {
        current.failure ??= error;
        throw error;
      } finally {
        call.signal.removeEventListener("abort", stop);
      }
    }),
    unary(`${SERVICE}Return`, RETURN, EMPTY, async (call) => {
      const { result, error } = call.request;
      if (error !== null) job(call).answer({ kind: "error", ...error });
      else {
        const refs = Object.values(result?.refs?.refs ?? {}).map(({ id }) => id);
        const id = result?.ref?.id || result?.refDeprecated;
        job(call).answer({ kind: "result", ids: id ? [id] : refs });
      }
      return {};
    }),
    unary(`${SERVICE}Inputs`, EMPTY, codec<object>("InputsResponse"), async () => ({})),
    unary(`${SERVICE}Evaluate`, codec<object>("StatFileRequest"), EMPTY, async () => ({})),
    unary(`${SERVICE}Warn`, EMPTY, EMPTY, async () => ({})),
    unary(`${SERVICE}ResolveImageConfig`, RESOLVE, RESOLVED, async (call) => {
      const { Ref, Platform } = call.request;
      const platform =
        Platform === null || Platform.Architecture === ""
          ? hostPlatform()
          : normalise(Platform.OS, Platform.Architecture, Platform.Variant);
      const image = await engine.resolve(job(call), Ref, platform);
      return { Digest: image.id, Config: image.configBytes, Ref };
    }),
    unary(`${SERVICE}ReadFile`, READ_FILE, FILE, async (call) => {
      const { Ref, FilePath, Range } = call.request;
      const bytes = await fileIn(rootOf(held(job(call), Ref)), FilePath, FILE_BYTES_MAX);
      if (bytes === undefined) throw new GrpcError("NOT_FOUND", `${FilePath}: file does not exist`);
      const end = Range === null || Range.Length === 0 ? undefined : Range.Offset + Range.Length;
      return { Data: bytes.subarray(Range?.Offset ?? 0, end) };
    }),
    unary(`${SERVICE}ReadDir`, READ_DIR, DIR, async (call) => {
      const node = nodeAt(held(job(call), call.request.Ref), call.request.DirPath);
      const entries = [...node.list()].map(({ name }) => statOf(name, node.lookup(name)));
      return { entries };
    }),
    unary(`${SERVICE}StatFile`, STAT_FILE, STAT, async (call) => {
      const { Ref, Path } = call.request;
      const node = nodeAt(held(job(call), Ref), Path);
      return { stat: statOf(fromText(Path.split("/").at(-1) ?? ""), node) };
    }),
  ];
}

/** What a client is told of results: one, or one for each platform. */
function resultOf(results: readonly HeldResult[]): object {
  const [first] = results;
  const refOf = ({ id }: HeldResult) => ({ id, def: resultDefinition(id) });
  if (results.length === 1 && first !== undefined) {
    const metadata = { "containerimage.config": imageDocument(first.solved.state) };
    return { ref: refOf(first), metadata };
  }
  const named = results.map(
    (each) => [shortPlatformName(each.solved.state.platform), each] as const,
  );
  const Platforms = named.map(([ID, { solved }]) => ({ ID, Platform: solved.state.platform }));
  return {
    refs: { refs: Object.fromEntries(named.map(([name, each]) => [name, refOf(each)])) },
    metadata: {
      "refs.platforms": Buffer.from(JSON.stringify({ Platforms })),
      ...Object.fromEntries(
        named.map(([name, { solved }]) => [
          `containerimage.config/${name}`,
          imageDocument(solved.state),
        ]),
      ),
    },
  };
}

function held(job: Job, ref: string): HeldResult {
  const found = job.results.get(ref);
  if (found === undefined) throw new GrpcError("NOT_FOUND", `no such ref: ${ref}`);
  return found;
}

function rootOf({ solved: { trees, state } }: HeldResult): ImageNode {
  const root = trees.root(trees.directories(state.layers));
  if (root === undefined) throw new GrpcError("NOT_FOUND", "the result is empty");
  return root;
}

function nodeAt(result: HeldResult, path: string): ImageNode {
  const node = resolvePath(rootOf(result), fromText(path), true)?.node;
  if (node === undefined) throw new GrpcError("NOT_FOUND", `${path}: no such file or directory`);
  return node;
}

function statOf(name: string, node: ImageNode | undefined): object {
  if (node === undefined) return { path: toText(name) };
  return {
    path: toText(name),
    mode: goMode(node.type, node.mode),
    uid: node.uid,
    gid: node.gid,
    size: node.size,
    modTime: Number(node.mtime),
    linkname: toText(node.target),
  };
}
