import { type Call, type Method, serverStream, unary } from "../grpc/server.ts";
import { GrpcError } from "../grpc/status.ts";
import { codec, timestamp } from "../proto/messages.ts";
import type { CacheRecord } from "../solve/step-cache.ts";
import type { Definition } from "./definition.ts";
import type { BuildkitEngine } from "./engine.ts";
import type { ExportOrder } from "./exporters.ts";
import type { HeldResult, Job } from "./jobs.ts";
import {
  refuseCacheExports,
  refuseDefinition,
  refuseEntitlements,
  refuseFrontend,
} from "./refusals.ts";
import { STATUS_RESPONSE, statusOf } from "./status-messages.ts";
import { VERSION, workerRecord } from "./worker.ts";

const SERVICE = "/moby.buildkit.v1.Control/";
const NS_PER_MS = 1e6;
const SERVING = 1;

const EMPTY = codec<object>("Empty");
const SOLVE = codec<{
  readonly Ref: string;
  readonly Definition: Definition | null;
  readonly Exporter: string;
  readonly ExporterAttrs: Readonly<Record<string, string>>;
  readonly Exporters: readonly {
    readonly Type: string;
    readonly Attrs: Readonly<Record<string, string>>;
  }[];
  readonly Session: string;
  readonly Frontend: string;
  readonly FrontendAttrs: Readonly<Record<string, string>>;
  readonly Cache: { readonly Exports: readonly { readonly Type: string }[] } | null;
  readonly Entitlements: readonly string[];
}>("ControlSolveRequest");
type SolveRequest = ReturnType<typeof SOLVE.decode>;
const USAGE = codec<object>("UsageRecord");
const PRUNE = codec<{
  readonly filter: readonly string[];
  readonly all: boolean;
  readonly keepDuration: number;
  readonly keepBytes: number;
}>("PruneRequest");

/** The daemon's own calls. */
export function controlMethods(engine: BuildkitEngine): readonly Method[] {
  return [
    unary(`${SERVICE}ListWorkers`, EMPTY, codec<object>("ListWorkersResponse"), async () => ({
      record: [workerRecord()],
    })),
    unary(`${SERVICE}Info`, EMPTY, codec<object>("InfoResponse"), async () => ({
      buildkitVersion: VERSION,
    })),
    unary(`${SERVICE}Solve`, SOLVE, codec<object>("ControlSolveResponse"), async (call) => ({
      ExporterResponse: await solve(engine, call),
    })),
    serverStream(
      `${SERVICE}Status`,
      codec<{ readonly Ref: string }>("StatusRequest"),
      STATUS_RESPONSE,
      async function* (call) {
        const job = engine.jobs.get(call.request.Ref);
        try {
          for await (const event of job.events(call.signal)) yield statusOf(event);
        } finally {
          engine.jobs.leave(call.request.Ref);
        }
      },
    ),
    unary(
      `${SERVICE}DiskUsage`,
      codec<{ readonly filter: readonly string[] }>("DiskUsageRequest"),
      codec<object>("DiskUsageResponse"),
      async ({ request }) => {
        const records = await engine.cache.list();
        const wanted = filterOf(request.filter);
        return { record: records.filter(wanted).map(usageRecord) };
      },
    ),
    serverStream(`${SERVICE}Prune`, PRUNE, USAGE, async function* ({ request }) {
      const { all, keepDuration, keepBytes, filter } = request;
      const pruned = await engine.cache.prune({
        all,
        matches: filterOf(filter),
        ...(keepDuration > 0 ? { unusedSince: Date.now() - keepDuration / NS_PER_MS } : {}),
        ...(keepBytes > 0 ? { keepBytes } : {}),
      });
      for (const record of pruned) yield usageRecord(record);
    }),
    // No builds are kept to tell of: the stream ends at once.
    serverStream(
      `${SERVICE}ListenBuildHistory`,
      EMPTY,
      codec<object>("BuildHistoryEvent"),
      async function* () {},
    ),
    unary(`${SERVICE}UpdateBuildHistory`, EMPTY, EMPTY, async () => ({})),
    unary(
      "/grpc.health.v1.Health/Check",
      EMPTY,
      codec<object>("HealthCheckResponse"),
      async () => ({
        status: SERVING,
      }),
    ),
    // Traces of clients are taken, and not kept.
    unary(
      "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
      EMPTY,
      EMPTY,
      async () => ({}),
    ),
  ];
}

function ordersOf({ Exporter, ExporterAttrs, Exporters }: SolveRequest): readonly ExportOrder[] {
  const listed = Exporters.map(({ Type, Attrs }) => ({
    type: Type,
    attributes: new Map(Object.entries(Attrs)),
  }));
  if (listed.length > 0 || Exporter === "") return listed;
  return [{ type: Exporter, attributes: new Map(Object.entries(ExporterAttrs)) }];
}

/** One build from beginning to end: the client's own part in it goes over the bridge. */
async function solve(
  engine: BuildkitEngine,
  call: Call<SolveRequest>,
): Promise<Readonly<Record<string, string>>> {
  const { Ref, Session, Frontend, FrontendAttrs, Definition, Cache, Entitlements } = call.request;
  refuseDefinition(Definition);
  refuseEntitlements(Entitlements);
  refuseCacheExports((Cache?.Exports ?? []).map(({ Type }) => Type));
  const job = engine.jobs.get(Ref);
  job.sessionId = Session;
  job.entitlements = new Set(Entitlements);
  job.began = true;
  const stop = () => {
    job.abort.abort();
    job.answer({ kind: "error", code: 1, message: "context canceled" });
  };
  call.signal.addEventListener("abort", stop);
  try {
    job.orders = ordersOf(call.request);
    const results = await resultsOf(engine, job, Frontend, FrontendAttrs);
    const response: Record<string, string> = {};
    if (results.length === 0) return response;
    for (const order of job.orders) {
      Object.assign(response, await engine.export(job, results, order));
    }
    return response;
  } finally {
    call.signal.removeEventListener("abort", stop);
    await job.end();
    engine.jobs.forget(Ref);
  }
}

async function resultsOf(
  engine: BuildkitEngine,
  job: Job,
  frontend: string,
  attributes: Readonly<Record<string, string>>,
): Promise<readonly HeldResult[]> {
  if (frontend !== "") {
    const options = new Map(Object.entries(attributes));
    refuseFrontend(frontend, options);
    if (options.has("requestid")) {
      await engine.answer(job, options);
      return [];
    }
    return engine.solve(job, options);
  }
  const returned = await job.returned;
  if (returned.kind === "result") {
    // Clients name them in no order; they are in that of their platforms.
    return [...job.results.values()].filter(({ id }) => returned.ids.includes(id));
  }
  // The client passes our own error's words on; the error itself says more.
  throw job.failure ?? new GrpcError("UNKNOWN", returned.message);
}

function usageRecord(record: CacheRecord): object {
  return {
    ID: record.id.slice(0, 25),
    Mutable: false,
    InUse: false,
    Size: record.size,
    CreatedAt: timestamp(record.createdAt),
    LastUsedAt: timestamp(record.lastUsedAt),
    UsageCount: record.usageCount,
    Description: record.description,
    RecordType: "regular",
    Shared: record.shared,
  };
}

/** `id=...`, `type=...`, `shared`, `description~=...`: what clients ask for. All must hold. */
function filterOf(filters: readonly string[]): (record: CacheRecord) => boolean {
  const rules = filters.flatMap((filter) => filter.split(",")).filter((rule) => rule !== "");
  return (record) =>
    rules.every((rule) => {
      const [, key = "", operator = "", value = ""] =
        /^([\w.]+)(==|~=|!=|=)?(.*)$/.exec(rule) ?? [];
      const actual: Readonly<Record<string, string>> = {
        id: record.id.slice(0, 25),
        type: "regular",
        description: record.description,
        shared: String(record.shared),
        private: String(!record.shared),
        inuse: "false",
        mutable: "false",
        immutable: "true",
      };
      const found = actual[key.toLowerCase()];
      if (operator === "") return found === "true";
      if (operator === "~=") return found?.includes(value) === true;
      return (found === value.replace(/^"|"$/g, "")) === (operator !== "!=");
    });
}
