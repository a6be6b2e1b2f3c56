/** A daemon in this process, whose containers' processes are the host's own (see FakeSentry), for the API's tests. */
import { mkdtempSync, rmSync } from "node:fs";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Daemon } from "../../daemon/daemon.ts";

export interface Response {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The text as JSON. */
  readonly json: () => Record<string, unknown>;
}

export interface RequestOptions {
  readonly body?: unknown;
  /** Sent as it is, with this type. */
  readonly raw?: { readonly type: string; readonly bytes: Uint8Array | string };
  /** Answer with what has come when nothing has come for so long; a stream may never end. */
  readonly streamMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Served {
  readonly daemon: Daemon;
  readonly socketPath: string;
  /** Faults the daemon has logged: what nobody has thought of. */
  readonly faults: string[];
  /** Reasons of answers with a status of 500 and above. */
  readonly reasons: string[];
  /** What it tells about itself. */
  readonly told: string[];
  readonly runDirectory: string;
  request(method: string, path: string, options?: RequestOptions): Promise<Response>;
  close(): Promise<void>;
}

/** Only what hangs takes so long: the machine may be busy with much else. */
const ANSWER_MS_MAX = 120_000;

export async function serve(tcpPort?: number): Promise<Served> {
  const base = mkdtempSync(join(tmpdir(), "dd-api-"));
  const directories = { root: join(base, "root"), run: join(base, "run") };
  const faults: string[] = [];
  const reasons: string[] = [];
  const told: string[] = [];
  const daemon = await Daemon.start({
    directories,
    buildStepProgram: "/nonexistent",
    backgroundProgram: fileURLToPath(new URL("../cli/background-on-host.js", import.meta.url)),
    pageDirectory: base,
    defaultMode: "trusted",
    version: "0.0.0",
    tcpPort,
    log: (level, message, fields) => {
      if (level === "info") told.push(message);
      if (level === "warn") reasons.push(message);
      if (level === "error") faults.push(`${message} ${JSON.stringify(fields)}`);
    },
  });
  const { socketPath } = daemon;
  const request = (method: string, path: string, options?: RequestOptions) =>
    send(socketPath, method, path, options);
  return {
    daemon,
    socketPath,
    faults,
    reasons,
    told,
    runDirectory: directories.run,
    request,
    async close() {
      const { text } = await request("GET", "/containers/json?all=1");
      for (const { Id } of JSON.parse(text) as { Id: string }[]) {
        await request("DELETE", `/containers/${Id}?force=1`);
      }
      await daemon.close();
      rmSync(base, { recursive: true, force: true, maxRetries: 20 });
    },
  };
}

/** One request on a connection of its own. @throws when no head of an answer comes in time. */
function send(
  socketPath: string,
  method: string,
  path: string,
  { body, raw, streamMs, headers = {} }: RequestOptions = {},
): Promise<Response> {
  const bytes = raw?.bytes ?? (body === undefined ? undefined : JSON.stringify(body));
  const type = raw?.type ?? (body === undefined ? undefined : "application/json");
  return new Promise((resolve, reject) => {
    const sent = httpRequest({
      socketPath,
      method,
      path,
      agent: false,
      headers: {
        ...(type === undefined ? {} : { "Content-Type": type }),
        ...(bytes === undefined ? {} : { "Content-Length": Buffer.byteLength(bytes) }),
        ...headers,
      },
    });
    const timer = setTimeout(
      () => sent.destroy(new Error(`${method} ${path} was not answered in time`)),
      ANSWER_MS_MAX,
    );
    sent.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    sent.on("response", (response) => {
      clearTimeout(timer);
      const chunks: Buffer[] = [];
      let silence: NodeJS.Timeout | undefined;
      const finish = () => {
        clearTimeout(silence);
        const text = Buffer.concat(chunks).toString("utf8");
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: () => JSON.parse(text) as Record<string, unknown>,
        });
        if (streamMs !== undefined) sent.destroy();
      };
      const wait = () => {
        clearTimeout(silence);
        if (streamMs !== undefined) silence = setTimeout(finish, streamMs);
      };
      response.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        wait();
      });
      response.on("end", finish);
      response.on("error", finish);
      wait();
    });
    sent.end(bytes);
  });
}
