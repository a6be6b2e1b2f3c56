import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import type { ExecutionContext } from "ava";
import { type Digest, digestOf } from "../../../sentry/image/digest.ts";

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** A registry with one image, `app:latest`, that lies wherever a test makes it. */
export interface FakeRegistry {
  /** The reference of its image. */
  readonly name: string;
  readonly origin: string;
  /** Each request as `path` or `path range`. */
  readonly requests: string[];
  /** Path -> who answers it; the tests replace these. */
  readonly routes: Map<string, Handler>;
}

export interface FakeImage {
  readonly config: Buffer;
  readonly layers: readonly Buffer[];
  readonly manifest: Record<string, unknown>;
}

export const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const INDEX = "application/vnd.oci.image.index.v1+json";

export function fakeImage(archives: readonly Buffer[]): FakeImage {
  const layers = archives.map((archive) => gzipSync(archive));
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === "arm64" ? "arm64" : "amd64",
      os: "linux",
      rootfs: { type: "layers", diff_ids: archives.map((archive) => digestOf(archive)) },
    }),
  );
  return {
    config,
    layers,
    manifest: {
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: describe("application/vnd.oci.image.config.v1+json", config),
      layers: layers.map((layer) => describe("application/vnd.oci.image.layer.v1.tar+gzip", layer)),
    },
  };
}

export function describe(
  mediaType: string,
  bytes: Uint8Array,
): { mediaType: string; digest: Digest; size: number } {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

/** Answers with `bytes`, or the part of them that is asked for. */
export function send(bytes: Uint8Array, type = "application/octet-stream"): Handler {
  return (request, response) => {
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    if (start > 0) {
      response.setHeader("content-range", `bytes ${start}-${bytes.length - 1}/${bytes.length}`);
    }
    response.writeHead(start > 0 ? 206 : 200, { "content-type": type });
    response.end(bytes.subarray(start));
  };
}

export function sendJson(value: unknown, type = MANIFEST): Handler {
  return send(Buffer.from(JSON.stringify(value)), type);
}

export function blobPath(bytes: Uint8Array): string {
  return `/v2/app/blobs/${digestOf(bytes)}`;
}

export const MANIFEST_PATH = "/v2/app/manifests/latest";

export async function startFake(t: ExecutionContext, image?: FakeImage): Promise<FakeRegistry> {
  const routes = new Map<string, Handler>();
  const requests: string[] = [];
  routes.set("/v2/", send(Buffer.from("{}")));
  if (image !== undefined) {
    routes.set(MANIFEST_PATH, sendJson(image.manifest));
    for (const blob of [image.config, ...image.layers]) routes.set(blobPath(blob), send(blob));
  }
  const server = createServer((request, response) => {
    const { range } = request.headers;
    requests.push(`${request.url}${range === undefined ? "" : ` ${range}`}`);
    const route = routes.get((request.url ?? "").split("?", 1)[0] ?? "");
    if (route === undefined) response.writeHead(404).end();
    else route(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const host = `127.0.0.1:${port}`;
  return { name: `${host}/app`, origin: `http://${host}`, requests, routes };
}
