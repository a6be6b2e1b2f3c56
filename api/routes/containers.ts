import type { IncomingHttpHeaders } from "node:http";
import type { ContainersEngine, WaitCondition } from "../engine/containers.ts";
import { ApiError } from "../errors.ts";
import { Filters } from "../filters.ts";
import { jsonLines } from "../json-lines.ts";
import { created, done, type HijackRow, hijack, json, type Row, route } from "../row.ts";
import { query, queryOf } from "../schema.ts";
import { type ApiVersion, atLeast } from "../version.ts";
import {
  CREATE_BODY,
  type CreateBody,
  type HostConfigBody,
  UPDATE_BODY,
} from "./container-bodies.ts";
import { logsRow } from "./container-logs.ts";
import { SIZE_QUERY, sizeOf } from "./execs.ts";

/** As docker counts: what is shorter says nothing. */
const EMPTY_OBJECT_MAX = 7;

const LIST_FILTERS = [
  "ancestor",
  "before",
  "expose",
  "exited",
  "health",
  "id",
  "isolation",
  "is-task",
  "label",
  "name",
  "network",
  "publish",
  "since",
  "status",
  "volume",
];
const PRUNE_FILTERS = ["label", "label!", "until"];
const CONDITIONS: readonly string[] = ["not-running", "next-exit", "removed"];

const ATTACH_QUERY = queryOf({
  detachKeys: query.text("Keys that end the conversation; a terminal's only"),
  logs: query.flag("First what was printed before"),
  stream: query.flag("Then what is printed from now on"),
  stdin: query.flag("Join standard input"),
  stdout: query.flag("Join standard output"),
  stderr: query.flag("Join standard error"),
});

const STOP_QUERY = queryOf({
  signal: query.text("Instead of the container's own"),
  t: query.integer("Seconds until SIGKILL; -1: never"),
});

/** What older clients leave to the engine, or say outside of the host configuration. */
function hostConfigOf({ HostConfig, Runtime }: CreateBody, version: ApiVersion): HostConfigBody {
  const config = HostConfig ?? {};
  return {
    ...config,
    ...(Runtime && !config.Runtime ? { Runtime } : {}),
    ...(config.IpcMode || atLeast(version, "1.40") ? {} : { IpcMode: "shareable" }),
  };
}

export function containerRows(containers: ContainersEngine): readonly Row[] {
  const attach = (url: string, over: HijackRow["over"]) =>
    hijack({
      method: over === "websocket" ? "GET" : "POST",
      url,
      summary: "Be joined with the streams of its first process",
      over,
      query: ATTACH_QUERY,
      open: async ({ params: { id = "" }, query: choice }) => {
        const { tty, begin } = await containers.attach(id, {
          stdin: choice.stdin ?? false,
          stdout: choice.stdout ?? false,
          stderr: choice.stderr ?? false,
          logs: choice.logs ?? false,
          stream: choice.stream ?? false,
        });
        return { kind: "streams", tty, detachKeys: choice.detachKeys, begin };
      },
    });
  return [
    route({
      method: "GET",
      url: "/containers/json",
      summary: "List containers",
      query: queryOf({
        all: query.flag("Also those that do not run"),
        limit: query.integer("Only the newest so many, running or not"),
        size: query.flag("With sizes"),
        filters: query.filters(),
        since: query.text("Newer than that one"),
        before: query.text("Older than that one"),
      }),
      handle: async ({ query: { all, limit, size, filters }, version }) =>
        json(
          await containers.list({
            all: all ?? false,
            limit: limit !== undefined && limit > 0 ? limit : undefined,
            size: size ?? false,
            annotations: atLeast(version, "1.46"),
            filters: Filters.parse(filters, LIST_FILTERS),
          }),
        ),
    }),
    route({
      method: "POST",
      url: "/containers/create",
      summary: "Make a container",
      query: queryOf({
        name: query.text("Its name; otherwise it gets one"),
        platform: query.text("os[/arch[/variant]] of the image"),
      }),
      body: CREATE_BODY,
      handle: async ({ query: { name, platform }, body, version }) => {
        if (Object.keys(body).length === 0) throw new ApiError("NO_CONFIG");
        const HostConfig = hostConfigOf(body, version);
        const endpoints = Object.keys(body.NetworkingConfig?.EndpointsConfig ?? {});
        if (endpoints.length > 1 && !atLeast(version, "1.44")) {
          const why = "Container cannot be created with multiple network endpoints";
          throw new ApiError("INVALID", why);
        }
        return created(
          await containers.create({
            name: name?.replace(/^\//, "") || undefined,
            platform: platform || undefined,
            body: { ...body, HostConfig },
          }),
        );
      },
    }),
    route({
      method: "GET",
      url: "/containers/:id/json",
      summary: "Everything about one",
      query: queryOf({ size: query.flag("With sizes") }),
      handle: async ({ params: { id = "" }, query: { size } }) =>
        json(await containers.inspect(id, size ?? false)),
    }),
    route({
      method: "POST",
      url: "/containers/:id/start",
      summary: "Start it",
      query: queryOf({ detachKeys: query.text("Accepted, without a meaning here") }),
      handle: async ({ params: { id = "" }, headers }) => {
        refuseConfig(headers);
        return done((await containers.start(id)) ? 204 : 304);
      },
    }),
    route({
      method: "POST",
      url: "/containers/:id/stop",
      summary: "Ask it to end, and kill it when it does not",
      query: STOP_QUERY,
      handle: async ({ params: { id = "" }, query: { signal, t } }) =>
        done((await containers.stop(id, signal || undefined, t)) ? 204 : 304),
    }),
    route({
      method: "POST",
      url: "/containers/:id/restart",
      summary: "Stop it if it runs, and start it",
      query: STOP_QUERY,
      handle: async ({ params: { id = "" }, query: { signal, t } }) => {
        await containers.restart(id, signal || undefined, t);
        return done();
      },
    }),
    route({
      method: "POST",
      url: "/containers/:id/kill",
      summary: "Send its first process a signal",
      query: queryOf({ signal: query.text("Name or number; default SIGKILL") }),
      handle: async ({ params: { id = "" }, query: { signal } }) => {
        await containers.kill(id, signal || undefined);
        return done();
      },
    }),
    route({
      method: "POST",
      url: "/containers/:id/pause",
      summary: "Freeze its processes",
      handle: async ({ params: { id = "" } }) => {
        await containers.pause(id);
        return done();
      },
    }),
    route({
      method: "POST",
      url: "/containers/:id/unpause",
      summary: "Let them go on",
      handle: async ({ params: { id = "" } }) => {
        await containers.unpause(id);
        return done();
      },
    }),
    route({
      method: "POST",
      url: "/containers/:id/rename",
      summary: "Give it another name",
      query: queryOf({ name: query.text("The name") }),
      handle: async ({ params: { id = "" }, query: { name } }) => {
        await containers.rename(id, name?.replace(/^\//, "") ?? "");
        return done();
      },
    }),
    route({
      method: "POST",
      url: "/containers/:id/update",
      summary: "Change its limits and its restart policy",
      body: UPDATE_BODY,
      handle: async ({ params: { id = "" }, body }) => json(await containers.update(id, body)),
    }),
    route({
      method: "DELETE",
      url: "/containers/:id",
      summary: "Remove it with what it wrote",
      query: queryOf({
        force: query.flag("Kill it first"),
        v: query.flag("Also the volumes made for it alone"),
        link: query.flag("Remove a link instead"),
      }),
      handle: async ({ params: { id = "" }, query: { force, v, link } }) => {
        await containers.remove(id, {
          force: force ?? false,
          volumes: v ?? false,
          link: link ?? false,
        });
        return done();
      },
    }),
    route({
      method: "POST",
      url: "/containers/prune",
      summary: "Remove those that do not run",
      query: queryOf({ filters: query.filters() }),
      handle: async ({ query: { filters } }) =>
        json(await containers.prune(Filters.parse(filters, PRUNE_FILTERS))),
    }),
    route({
      method: "POST",
      url: "/containers/:id/wait",
      summary: "Wait for its end",
      query: queryOf({ condition: query.text("not-running (default), next-exit or removed") }),
      handle: async ({ params: { id = "" }, query: { condition }, gone }) => {
        const wanted = condition || "not-running";
        if (!CONDITIONS.includes(wanted)) {
          throw new ApiError("INVALID", `invalid condition: ${JSON.stringify(wanted)}`);
        }
        const { ended } = await containers.wait(id, wanted as WaitCondition, gone);
        // The head goes out at once: the client starts the container when it has it.
        return jsonLines(
          (async function* () {
            yield await ended;
          })(),
        );
      },
    }),
    route({
      method: "POST",
      url: "/containers/:id/resize",
      summary: "Set the size of its terminal",
      query: SIZE_QUERY,
      handle: async ({ params: { id = "" }, query: size }) => {
        await containers.resize(id, sizeOf(size));
        return done(200);
      },
    }),
    route({
      method: "GET",
      url: "/containers/:id/top",
      summary: "Its processes",
      query: queryOf({ ps_args: query.text("Arguments of ps(1); default -ef") }),
      handle: async ({ params: { id = "" }, query: { ps_args } }) =>
        json(await containers.top(id, ps_args || "-ef")),
    }),
    route({
      method: "GET",
      url: "/containers/:id/stats",
      summary: "What it uses, once or every second",
      query: queryOf({
        stream: query.flag("Every second; the default"),
        "one-shot": query.flag("Once, without waiting for a second sample"),
      }),
      handle: async ({ params: { id = "" }, query: { stream, "one-shot": oneShot }, gone }) =>
        jsonLines(
          await containers.stats(id, { stream: stream ?? true, oneShot: oneShot ?? false }, gone),
        ),
    }),
    attach("/containers/:id/attach", "tcp"),
    attach("/containers/:id/attach/ws", "websocket"),
    logsRow(containers),
  ];
}

/** Before 1.24 a container was told here what it is to be; now that is no longer taken, but an empty object is. */
function refuseConfig(headers: IncomingHttpHeaders): void {
  const isChunked = headers["transfer-encoding"] !== undefined;
  if (isChunked || Number(headers["content-length"] ?? 0) > EMPTY_OBJECT_MAX) {
    throw new ApiError("START_CONFIG");
  }
}
