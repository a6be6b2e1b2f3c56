import { Type } from "@sinclair/typebox";
import type { NetworksEngine } from "../engine/networks.ts";
import { ApiError } from "../errors.ts";
import { Filters } from "../filters.ts";
import { created, done, json, type Row, route } from "../row.ts";
import { flag, list, map, members, type Of, part, query, queryOf, text } from "../schema.ts";
import { ENDPOINT } from "./container-bodies.ts";

const LIST_FILTERS = ["dangling", "driver", "id", "label", "name", "scope", "type"];
const PRUNE_FILTERS = ["label", "label!", "until"];

const NETWORK_BODY = members({
  Name: text(),
  CheckDuplicate: flag(),
  Driver: text(),
  Scope: text(),
  Internal: flag(),
  Attachable: flag(),
  Ingress: flag(),
  ConfigOnly: flag(),
  ConfigFrom: part({ Network: text() }),
  EnableIPv4: flag(),
  EnableIPv6: flag(),
  IPAM: part({
    Driver: text(),
    Config: list(
      members({
        Subnet: text(),
        IPRange: text(),
        Gateway: text(),
        AuxiliaryAddresses: map(Type.String()),
        AuxAddress: map(Type.String()),
      }),
    ),
    Options: map(Type.String()),
  }),
  Options: map(Type.String()),
  Labels: map(Type.String()),
});
export type NetworkBody = Of<typeof NETWORK_BODY>;

export function networkRows(networks: NetworksEngine): readonly Row[] {
  // The one collection that docker serves with a slash behind it as well.
  const lists = ["/networks", "/networks/"].map((url) =>
    route({
      method: "GET",
      url,
      summary: "List networks",
      query: queryOf({ filters: query.filters() }),
      handle: async ({ query: { filters } }) =>
        json(await networks.list(Filters.parse(filters, LIST_FILTERS))),
    }),
  );
  return [
    ...lists,
    route({
      method: "GET",
      url: "/networks/:id",
      summary: "Show a network and the containers in it",
      query: queryOf({
        verbose: query.flag("More about services of a swarm"),
        scope: query.text("Only a network of this scope"),
      }),
      handle: async ({ params: { id = "" }, query: { scope } }) => {
        if (scope !== undefined && scope !== "" && scope !== "local") {
          throw new ApiError("NO_SUCH_NETWORK", id);
        }
        return json(await networks.inspect(id));
      },
    }),
    route({
      method: "POST",
      url: "/networks/create",
      summary: "Make a network",
      body: NETWORK_BODY,
      handle: async ({ body }) => created(await networks.create(body)),
    }),
    route({
      method: "POST",
      url: "/networks/:id/connect",
      summary: "Take a container into a network",
      body: members({
        Container: text(),
        EndpointConfig: Type.Optional(Type.Union([ENDPOINT, Type.Null()])),
      }),
      handle: async ({ params: { id = "" }, body: { Container, EndpointConfig } }) => {
        await networks.connect(id, Container ?? "", EndpointConfig ?? undefined);
        return done(200);
      },
    }),
    route({
      method: "POST",
      url: "/networks/:id/disconnect",
      summary: "Take a container out of a network",
      body: members({ Container: text(), Force: flag() }),
      handle: async ({ params: { id = "" }, body: { Container, Force } }) => {
        await networks.disconnect(id, Container ?? "", Force ?? false);
        return done(200);
      },
    }),
    route({
      method: "DELETE",
      url: "/networks/:id",
      summary: "Remove a network",
      handle: async ({ params: { id = "" } }) => {
        await networks.remove(id);
        return done();
      },
    }),
    route({
      method: "POST",
      url: "/networks/prune",
      summary: "Remove the networks that no container is in",
      query: queryOf({ filters: query.filters() }),
      handle: async ({ query: { filters } }) =>
        json(await networks.prune(Filters.parse(filters, PRUNE_FILTERS))),
    }),
  ];
}
