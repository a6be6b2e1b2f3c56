import type { SystemEngine } from "../engine/system.ts";
import { ApiError } from "../errors.ts";
import { Filters } from "../filters.ts";
import { jsonLines } from "../json-lines.ts";
import { type Answer, json, type Row, route, text } from "../row.ts";
import { query, queryOf } from "../schema.ts";
import { parseTime } from "../time.ts";
import { atLeast } from "../version.ts";

export const EVENT_FILTERS = [
  "config",
  "container",
  "daemon",
  "event",
  "image",
  "label",
  "label!",
  "network",
  "node",
  "plugin",
  "scope",
  "secret",
  "service",
  "type",
  "volume",
  "from",
];

/** What a client learns before it says anything else. */
const PING_HEADERS = {
  "Builder-Version": "1",
  Swarm: "inactive",
  "Cache-Control": "no-cache, no-store, must-revalidate",
  Pragma: "no-cache",
};

const pong: Answer = {
  kind: "empty",
  status: 200,
  headers: { ...PING_HEADERS, "Content-Type": "text/plain; charset=utf-8", "Content-Length": "0" },
};

const USAGE_TYPES = ["container", "image", "volume", "build-cache"];

export function systemRows(system: SystemEngine): readonly Row[] {
  return [
    route({
      method: "GET",
      url: "/_ping",
      summary: "Whether the engine is there, and what it speaks",
      handle: () => ({ kind: "text", status: 200, text: "OK", headers: PING_HEADERS }),
    }),
    route({
      method: "HEAD",
      url: "/_ping",
      summary: "As GET, without the OK",
      handle: () => pong,
    }),
    route({
      method: "GET",
      url: "/version",
      summary: "Versions of the engine and its parts",
      handle: () => json(system.version()),
    }),
    route({
      method: "GET",
      url: "/info",
      summary: "What the engine is and can do on this host",
      handle: async ({ version }) => {
        const info = await system.info();
        if (atLeast(version, "1.50")) return json(info);
        // Of bridges of the host, which nothing here has.
        return json({ ...info, BridgeNfIptables: false, BridgeNfIp6tables: false });
      },
    }),
    route({
      method: "GET",
      url: "/events",
      summary: "What happens, as it happens",
      query: queryOf({
        since: query.text("Also what happened since: seconds, RFC 3339, or a duration"),
        until: query.text("End then"),
        filters: query.filters(),
      }),
      handle: ({ query: { since, until, filters }, gone }) => {
        const span = {
          // The beginning of all time is a time, too.
          since: since ? (parseTime("since", since) ?? 0) : undefined,
          until: parseTime("until", until),
        };
        if (span.since !== undefined && span.until !== undefined && span.until < span.since) {
          const why = `\`since\` time (${since}) cannot be after \`until\` time (${until})`;
          throw new ApiError("INVALID", why);
        }
        const choice = { ...span, filters: Filters.parse(filters, EVENT_FILTERS) };
        return jsonLines(system.events(choice, gone));
      },
    }),
    route({
      method: "GET",
      url: "/system/df",
      summary: "What images, containers, volumes and the build cache take",
      query: queryOf({ type: query.texts("container, image, volume, build-cache") }),
      handle: async ({ query: { type = [] } }) => {
        const unknown = type.find((each) => !USAGE_TYPES.includes(each));
        if (unknown !== undefined) {
          throw new ApiError("INVALID", `unknown object type: ${unknown}`);
        }
        return json(await system.diskUsage(type));
      },
    }),
    route({
      method: "GET",
      url: "/",
      summary: "A word for whoever looks with a browser",
      handle: () => text("dd: the Docker Engine API is served here\n"),
    }),
  ];
}
