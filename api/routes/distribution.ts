import type { ImagesEngine } from "../engine/images.ts";
import { json, type Row, route } from "../row.ts";
import { authOf } from "./images.ts";

export function distributionRows(images: ImagesEngine): readonly Row[] {
  return [
    route({
      method: "GET",
      url: "/distribution/:name/json",
      summary: "What a registry has by a name: its digest and its platforms",
      handle: async ({ params, headers }) =>
        json(await images.distribution(params["name"] ?? "", { auth: authOf(headers) })),
    }),
  ];
}
