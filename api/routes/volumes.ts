import { Type } from "@sinclair/typebox";
import type { VolumesEngine } from "../engine/volumes.ts";
import { Filters } from "../filters.ts";
import { created, done, json, type Row, route } from "../row.ts";
import { anything, map, members, type Of, query, queryOf, text } from "../schema.ts";
import { atLeast } from "../version.ts";

const LIST_FILTERS = ["dangling", "driver", "label", "name"];
const PRUNE_FILTERS = ["label", "label!", "all"];

const VOLUME_BODY = members({
  Name: text(),
  Driver: text(),
  DriverOpts: map(Type.String()),
  Labels: map(Type.String()),
  ClusterVolumeSpec: anything(),
});
export type VolumeBody = Of<typeof VOLUME_BODY>;

export function volumeRows(volumes: VolumesEngine): readonly Row[] {
  return [
    route({
      method: "GET",
      url: "/volumes",
      summary: "List volumes",
      query: queryOf({ filters: query.filters() }),
      handle: async ({ query: { filters } }) => {
        const Volumes = await volumes.list(Filters.parse(filters, LIST_FILTERS));
        return json({ Volumes, Warnings: null });
      },
    }),
    route({
      method: "POST",
      url: "/volumes/create",
      summary: "Make a volume, unless it is there",
      body: VOLUME_BODY,
      handle: async ({ body }) => created(await volumes.create(body)),
    }),
    route({
      method: "GET",
      url: "/volumes/:name",
      summary: "Show a volume",
      handle: async ({ params: { name = "" } }) => json(await volumes.inspect(name)),
    }),
    route({
      method: "DELETE",
      url: "/volumes/:name",
      summary: "Remove a volume and what is in it",
      query: queryOf({ force: query.flag("No error when there is none") }),
      handle: async ({ params: { name = "" }, query: { force } }) => {
        await volumes.remove(name, force ?? false);
        return done();
      },
    }),
    route({
      method: "POST",
      url: "/volumes/prune",
      summary: "Remove the volumes that no container has",
      query: queryOf({ filters: query.filters() }),
      handle: async ({ query: { filters }, version }) => {
        const wanted = Filters.parse(filters, PRUNE_FILTERS);
        // Before 1.42 there was no "all", and named volumes went as well.
        const named = atLeast(version, "1.42") ? wanted.flag("all") === true : true;
        return json(await volumes.prune(wanted, named));
      },
    }),
  ];
}
