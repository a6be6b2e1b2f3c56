import type { DashboardEngine } from "../engine/dashboard.ts";
import type { ExecsEngine } from "../engine/execs.ts";
import { jsonLines } from "../json-lines.ts";
import { hijack, json, type Row, route } from "../row.ts";
import { query, queryOf } from "../schema.ts";
import { execStreams } from "./execs.ts";

/** Beyond docker's API: what `ddcli ui` and the page it opens need. */
export function dashboardRows(dashboard: DashboardEngine, execs: ExecsEngine): readonly Row[] {
  return [
    route({
      method: "POST",
      url: "/dashboard",
      summary: "Serve the dashboard on a loopback address, and make a link that signs in once",
      handle: async () => json(await dashboard.open()),
    }),
    route({
      method: "GET",
      url: "/containers/:id/egress",
      summary: "What a container tried to reach outside of its networks",
      query: queryOf({ follow: query.flag("Go on with what it will try") }),
      handle: async ({ params: { id = "" }, query: { follow }, gone }) =>
        jsonLines(await dashboard.egress(id, follow ?? false, gone)),
    }),
    hijack({
      method: "GET",
      url: "/exec/:id/ws",
      summary: "Start a process as it was prepared, and be joined with it by a web socket",
      over: "websocket",
      open: async ({ params: { id = "" } }) => {
        const choice = { detach: false, tty: undefined, consoleSize: undefined };
        return execStreams(execs.prepare(id, choice));
      },
    }),
  ];
}
