import { json, type Row, route } from "./row.ts";
import { API_VERSION } from "./version.ts";

const DESCRIPTION =
  "The part of the Docker Engine API that dd serves, made from the schemas requests are checked against. " +
  "Paths may begin with a version, from /v1.24 on.";

/** The route that describes `rows`, and itself. */
export function openapiRow(rows: readonly Row[]): Row {
  const own: Row = route({
    method: "GET",
    url: "/openapi.json",
    summary: "This description",
    handle: async () => json(await describeApi([...rows, own])),
  });
  return own;
}

/**
 * The OpenAPI document of what is served, made from the routes themselves. What it takes is loaded when
 * somebody asks, and forgotten again: an idle daemon pays nothing for it.
 */
async function describeApi(rows: readonly Row[]): Promise<object> {
  const [{ default: fastify }, { default: swagger }] = await Promise.all([
    import("fastify"),
    import("@fastify/swagger"),
  ]);
  const app = fastify({ exposeHeadRoutes: false });
  // Nothing is served here: there is nothing to check and nothing to write.
  app.setValidatorCompiler(() => () => true);
  app.setSerializerCompiler(() => () => "");
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "dd", version: API_VERSION, description: DESCRIPTION },
    },
  });
  for (const row of rows) {
    app.route({
      method: row.method,
      url: row.url,
      schema: schemaOf(row),
      handler: async () => {},
    });
  }
  await app.ready();
  const document = app.swagger();
  await app.close();
  return document;
}

function schemaOf(row: Row): object {
  const names = [...row.url.matchAll(/:(\w+)/g)].map((match) => match[1] ?? "");
  const hasUpload = row.kind === "route" && row.upload;
  return {
    summary: row.summary,
    tags: [row.url.split("/")[1] || "engine"],
    ...(row.query === undefined ? {} : { querystring: row.query }),
    ...(row.body === undefined ? {} : { body: row.body }),
    ...(hasUpload ? { consumes: ["application/x-tar"] } : {}),
    ...(names.length === 0
      ? {}
      : {
          params: {
            type: "object",
            properties: Object.fromEntries(names.map((name) => [name, { type: "string" }])),
            required: names,
          },
        }),
  };
}
