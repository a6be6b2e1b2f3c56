import type { ContainerFilesEngine } from "../engine/container-files.ts";
import type { JsonObject } from "../engine/json.ts";
import { ApiError } from "../errors.ts";
import { done, json, type Row, route } from "../row.ts";
import { query, queryOf } from "../schema.ts";

const PATH = queryOf({ path: query.text("In the container") });
const TAR = "application/x-tar";

export function containerFileRows(files: ContainerFilesEngine): readonly Row[] {
  return [
    route({
      method: "HEAD",
      url: "/containers/:id/archive",
      summary: "What is at a path, told in a header",
      query: PATH,
      handle: async ({ params: { id = "" }, query: { path } }) => ({
        kind: "empty",
        status: 200,
        headers: statHeader(await files.stat(id, required(path))),
      }),
    }),
    route({
      method: "GET",
      url: "/containers/:id/archive",
      summary: "What is at a path, as a tar",
      query: PATH,
      handle: async ({ params: { id = "" }, query: { path } }) => {
        const { stat, tar } = await files.pack(id, required(path));
        return { kind: "stream", type: TAR, headers: statHeader(stat), body: tar };
      },
    }),
    route({
      method: "PUT",
      url: "/containers/:id/archive",
      summary: "Unpack a tar into a directory",
      upload: true,
      query: queryOf({
        path: query.text("A directory in the container"),
        noOverwriteDirNonDir: query.flag("Keep directories directories, and files files"),
        copyUIDGID: query.flag("Everything belongs to the container's user"),
      }),
      handle: async ({ params: { id = "" }, query: choice, upload }) => {
        await files.unpack(
          id,
          {
            path: required(choice.path),
            noOverwriteDirNonDir: choice.noOverwriteDirNonDir ?? false,
            copyUidGid: choice.copyUIDGID ?? false,
          },
          upload,
        );
        return done(200);
      },
    }),
    route({
      method: "GET",
      url: "/containers/:id/changes",
      summary: "What differs from its image",
      handle: async ({ params: { id = "" } }) => json(await files.changes(id)),
    }),
    route({
      method: "GET",
      url: "/containers/:id/export",
      summary: "Its whole file system as a tar",
      handle: async ({ params: { id = "" } }) => ({
        kind: "stream",
        type: "application/octet-stream",
        body: await files.export(id),
      }),
    }),
  ];
}

function required(path: string | undefined): string {
  if (path) return path;
  throw new ApiError("INVALID", 'bad parameter: "path" cannot be empty');
}

function statHeader(stat: JsonObject): Readonly<Record<string, string>> {
  return {
    "X-Docker-Container-Path-Stat": Buffer.from(JSON.stringify(stat)).toString("base64"),
  };
}
