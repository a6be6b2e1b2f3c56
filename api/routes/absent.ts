import { ApiError } from "../errors.ts";
import { json, type Method, type Row, route } from "../row.ts";

/** What a node of a swarm would answer; this engine is none. */
const SWARM: readonly (readonly [Method, string])[] = [
  ["GET", "/swarm"],
  ["GET", "/swarm/unlockkey"],
  ["POST", "/swarm/update"],
  ["POST", "/swarm/unlock"],
  ["GET", "/nodes"],
  ["GET", "/nodes/:id"],
  ["DELETE", "/nodes/:id"],
  ["POST", "/nodes/:id/update"],
  ["GET", "/services"],
  ["POST", "/services/create"],
  ["GET", "/services/:id"],
  ["DELETE", "/services/:id"],
  ["POST", "/services/:id/update"],
  ["GET", "/services/:id/logs"],
  ["GET", "/tasks"],
  ["GET", "/tasks/:id"],
  ["GET", "/tasks/:id/logs"],
  ["GET", "/secrets"],
  ["POST", "/secrets/create"],
  ["GET", "/secrets/:id"],
  ["DELETE", "/secrets/:id"],
  ["POST", "/secrets/:id/update"],
  ["GET", "/configs"],
  ["POST", "/configs/create"],
  ["GET", "/configs/:id"],
  ["DELETE", "/configs/:id"],
  ["POST", "/configs/:id/update"],
];

/** Parts of docker's engine that this one does not have, with their name in the answer. */
const UNSUPPORTED: readonly (readonly [Method, string, string])[] = [
  ["POST", "/swarm/init", "swarm mode"],
  ["POST", "/swarm/join", "swarm mode"],
  ["POST", "/plugins/pull", "installing plugins"],
  ["POST", "/plugins/create", "installing plugins"],
  ["GET", "/containers/:id/checkpoints", "checkpoint"],
  ["POST", "/containers/:id/checkpoints", "checkpoint"],
  ["DELETE", "/containers/:id/checkpoints/:checkpoint", "checkpoint"],
];

const PLUGINS: readonly (readonly [Method, string])[] = [
  ["GET", "/plugins/:name/json"],
  ["DELETE", "/plugins/:name"],
  ["POST", "/plugins/:name/enable"],
  ["POST", "/plugins/:name/disable"],
  ["POST", "/plugins/:name/upgrade"],
  ["POST", "/plugins/:name/push"],
  ["POST", "/plugins/:name/set"],
];

/** Routes of the API whose subject does not exist here, answered as an engine without it does. */
export function absentRows(): readonly Row[] {
  return [
    ...SWARM.map(([method, url]) =>
      route({
        method,
        url,
        summary: "Answered as by an engine outside of any swarm",
        handle: () => {
          throw new ApiError("NOT_A_SWARM");
        },
      }),
    ),
    route({
      method: "POST",
      url: "/swarm/leave",
      summary: "There is no swarm to leave",
      handle: () => {
        throw new ApiError("NOT_A_SWARM_MEMBER");
      },
    }),
    ...UNSUPPORTED.map(([method, url, what]) =>
      route({
        method,
        url,
        summary: `Not supported: ${what}`,
        handle: () => {
          throw new ApiError("NOT_IMPLEMENTED", what);
        },
      }),
    ),
    route({
      method: "GET",
      url: "/plugins",
      summary: "There are none",
      handle: () => json([]),
    }),
    ...PLUGINS.map(([method, url]) =>
      route({
        method,
        url,
        summary: "There are no plugins",
        handle: ({ params: { name = "" } }) => {
          throw new ApiError("NO_SUCH_PLUGIN", name);
        },
      }),
    ),
  ];
}
