import type { ImagesEngine } from "../engine/images.ts";
import { json, type Row, route } from "../row.ts";
import { members, text } from "../schema.ts";

const LOGIN = members({
  username: text(),
  password: text(),
  email: text(),
  serveraddress: text(),
  identitytoken: text(),
  registrytoken: text(),
});

export function authRows(images: ImagesEngine): readonly Row[] {
  return [
    route({
      method: "POST",
      url: "/auth",
      summary: "Try a login at a registry",
      body: LOGIN,
      handle: async ({ body }) => json(await images.login(body)),
    }),
  ];
}
