import type { BuildChoice, BuildEngine } from "../engine/build.ts";
import { ApiError } from "../errors.ts";
import { Filters } from "../filters.ts";
import { jsonMessages } from "../json-lines.ts";
import { done, json, type Row, route, tunnel } from "../row.ts";
import { query, queryOf } from "../schema.ts";

const PRUNE_FILTERS = [
  "until",
  "id",
  "parent",
  "type",
  "description",
  "inuse",
  "shared",
  "private",
  "label",
];

export function buildRows(engine: BuildEngine): readonly Row[] {
  return [
    route({
      method: "POST",
      url: "/build",
      summary: "Build an image from an archive with a Dockerfile",
      upload: true,
      query: queryOf({
        dockerfile: query.text("Path of the Dockerfile in the context"),
        t: query.texts("Names of the image"),
        extrahosts: query.texts("Lines for /etc/hosts, name:address"),
        remote: query.text("URL of a git repository, an archive or a Dockerfile"),
        q: query.flag("Tell only the image's id"),
        nocache: query.flag("Do every step again"),
        cachefrom: query.text("JSON: images; none of them here, nothing is taken from the cache"),
        pull: query.text("Ask registries for newer base images"),
        rm: query.flag("Accepted: steps leave no containers"),
        forcerm: query.flag("Accepted: steps leave no containers"),
        buildargs: query.text("JSON: values of ARGs"),
        shmsize: query.integer("Bytes of /dev/shm"),
        memory: query.integer("Bytes of memory of RUN's containers"),
        memswap: query.integer("Accepted, and not enforced"),
        cpushares: query.integer("Accepted, and not enforced"),
        cpuperiod: query.integer("Of the quota, in microseconds"),
        cpuquota: query.integer("CPU time in a period, in microseconds"),
        cpusetcpus: query.text("CPUs of RUN's containers, such as 0-2"),
        cpusetmems: query.text("Accepted, and not enforced"),
        cgroupparent: query.text("Accepted, and not enforced"),
        ulimits: query.text("JSON: ulimits of RUN's containers"),
        squash: query.flag("Accepted, and not done"),
        labels: query.text("JSON: labels of the image"),
        networkmode: query.text("Network of RUN: default, none, host, container:NAME or NAME"),
        platform: query.text("os/arch"),
        target: query.text("The stage to build"),
        version: query.text("2: by BuildKit"),
        session: query.text("Of the client, for BuildKit"),
        buildid: query.text("A name for it, to cancel it by"),
        outputs: query.text("Accepted"),
      }),
      handle: async ({ query: choice, upload, headers, gone }) => {
        const registryConfig = headers["x-registry-config"];
        return jsonMessages(
          engine.build(
            {
              upload,
              remote: choice.remote ?? "",
              dockerfile: choice.dockerfile || "Dockerfile",
              names: (choice.t ?? []).filter((name) => name !== ""),
              target: choice.target || undefined,
              buildArgs: jsonMap(choice.buildargs, "buildargs"),
              unsetArgs: unsetNames(choice.buildargs),
              labels: jsonMap(choice.labels, "labels"),
              platform: choice.platform || undefined,
              networkMode: choice.networkmode ?? "",
              extraHosts: (choice.extrahosts ?? [])
                .flatMap((each) => each.split(","))
                .filter(Boolean),
              shmBytes: choice.shmsize || undefined,
              limits: {
                Memory: choice.memory ?? 0,
                CpuPeriod: choice.cpuperiod ?? 0,
                CpuQuota: choice.cpuquota ?? 0,
                CpusetCpus: choice.cpusetcpus ?? "",
                Ulimits: ulimitList(choice.ulimits),
              },
              noCache: choice.nocache ?? false,
              cacheFrom: jsonList(choice.cachefrom, "cachefrom"),
              pull: !["", "0", "false", "False"].includes(choice.pull ?? ""),
              quiet: choice.q ?? false,
              buildkit: choice.version === "2",
              session: choice.session ?? "",
              buildId: choice.buildid ?? "",
              registryConfig: Array.isArray(registryConfig) ? registryConfig[0] : registryConfig,
            },
            gone,
          ),
        );
      },
    }),
    route({
      method: "POST",
      url: "/build/cancel",
      summary: "Cancel a build",
      query: queryOf({ id: query.text("Its buildid") }),
      handle: async ({ query: { id = "" } }) => {
        if (id === "") throw new ApiError("INVALID", "build ID not specified");
        engine.cancel(id);
        return done();
      },
    }),
    route({
      method: "POST",
      url: "/build/prune",
      summary: "Forget results of build steps",
      query: queryOf({
        all: query.flag("Also those whose layers are in images"),
        "keep-storage": query.integer("Keep as many bytes of the last used"),
        "reserved-space": query.integer("Keep as many bytes of the last used"),
        filters: query.filters(),
      }),
      handle: async ({ query: choice }) =>
        json(
          await engine.prune({
            all: choice.all ?? false,
            keepBytes: choice["reserved-space"] || choice["keep-storage"] || undefined,
            filters: Filters.parse(choice.filters, PRUNE_FILTERS),
          }),
        ),
    }),
    tunnel({
      method: "POST",
      url: "/grpc",
      summary: "BuildKit's own protocol",
      upgrade: "h2c",
      take: (_, connection) => engine.serve(connection),
    }),
    tunnel({
      method: "POST",
      url: "/session",
      summary: "A client's session: the engine calls the client",
      upgrade: "h2c",
      take: ({ headers }, connection) => {
        const id = headers["x-docker-expose-session-uuid"];
        if (typeof id === "string" && id !== "") engine.openSession(id, connection);
        else connection.destroy();
      },
    }),
  ];
}

/** JSON in a query; null where there is nothing. */
function jsonValue(text: string | undefined, name: string): unknown {
  if (text === undefined || text === "") return null;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ApiError("INVALID", `error reading ${name}: ${(error as Error).message}`);
  }
}

function ulimitList(text: string | undefined): BuildChoice["limits"]["Ulimits"] {
  const value = jsonValue(text, "ulimits") ?? [];
  if (!Array.isArray(value)) throw new ApiError("INVALID", "error reading ulimits: not a list");
  return value.map((each: unknown) => {
    const { Name, Soft, Hard } = (each ?? {}) as Readonly<Record<string, unknown>>;
    if (typeof Name !== "string" || typeof Soft !== "number" || typeof Hard !== "number") {
      throw new ApiError("INVALID", "error reading ulimits: not a ulimit");
    }
    return { Name, Soft, Hard };
  });
}

/** A list of strings, as JSON in a query. */
function jsonList(text: string | undefined, name: string): readonly string[] {
  const value = jsonValue(text, name);
  if (value === null) return [];
  if (!Array.isArray(value) || !value.every((each) => typeof each === "string")) {
    throw new ApiError("INVALID", `error reading ${name}: not a list of strings`);
  }
  return value;
}

/** The names of a map, as JSON in a query, that are null there. */
function unsetNames(text: string | undefined): readonly string[] {
  const value = jsonValue(text, "buildargs");
  if (value === null || typeof value !== "object") return [];
  return Object.entries(value).flatMap(([name, each]) => (each === null ? [name] : []));
}

/** A map of strings, as JSON in a query; what is null is left out. */
function jsonMap(text: string | undefined, name: string): ReadonlyMap<string, string> {
  const value = jsonValue(text, name);
  if (value === null) return new Map();
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new ApiError("INVALID", `error reading ${name}: not a map`);
  }
  const entries = Object.entries(value).filter(([, each]) => each !== null);
  for (const [, each] of entries) {
    if (typeof each !== "string")
      throw new ApiError("INVALID", `error reading ${name}: not a string`);
  }
  return new Map(entries as [string, string][]);
}
