import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { SAFE_HEADERS, servePage } from "./page.ts";
import { Sessions } from "./sessions.ts";

const HOST = "127.0.0.1";
const SIGN_IN_PATH = "/dashboard/session";
const SIGN_IN_BYTES_MAX = 4096;
const HEADERS_TIMEOUT_MS = 30_000;

/** The dashboard on a loopback port: its page, and the Engine API for whoever has signed in. */
export class DashboardListener {
  private readonly directory: string;
  private readonly api: Server;
  private readonly server: Server;
  private readonly sessions = new Sessions();
  private port = 0;

  /**
   * @param directory the files of the page.
   * @param api serves the requests of those who have signed in; it is not listening itself.
   */
  constructor(directory: string, api: Server) {
    this.directory = directory;
    this.api = api;
    this.server = createServer({ headersTimeout: HEADERS_TIMEOUT_MS }, (request, response) =>
      this.serve(request, response),
    );
    this.server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
      if (this.refusal(request) === undefined) api.emit("upgrade", request, socket, head);
      else socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n");
    });
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.server.once("error", reject);
      this.server.listen(0, HOST, resolve);
    });
    this.port = (this.server.address() as AddressInfo).port;
  }

  /** A link that signs in once. The code is in the fragment, which browsers send nowhere. */
  link(): string {
    return `http://${HOST}:${this.port}/#code=${this.sessions.newCode()}`;
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  private serve(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? "/").split("?")[0] ?? "/";
    if (!this.isForUs(request)) {
      refuse(response, 403, "This address is not for that page");
      return;
    }
    if (request.method === "GET" && servePage(this.directory, path, response)) return;
    if (request.method === "POST" && path === SIGN_IN_PATH) {
      this.signIn(request, response);
      return;
    }
    const refusal = this.refusal(request);
    if (refusal !== undefined) {
      refuse(response, ...refusal);
      return;
    }
    for (const [name, value] of Object.entries(SAFE_HEADERS)) response.setHeader(name, value);
    this.api.emit("request", request, response);
  }

  /**
   * Whether the request names this very address, and comes from no other page. Cookies do not tell ports of one
   * host apart, so the browser's word for where a request comes from decides.
   */
  private isForUs({ headers }: IncomingMessage): boolean {
    const own = `${HOST}:${this.port}`;
    if (headers.host !== own) return false;
    if (headers.origin !== undefined && headers.origin !== `http://${own}`) return false;
    const site = headers["sec-fetch-site"];
    return site === undefined || site === "same-origin" || site === "none";
  }

  private refusal(request: IncomingMessage): [status: number, message: string] | undefined {
    if (!this.isForUs(request)) return [403, "This address is not for that page"];
    if (!this.sessions.isSignedIn(this.tokenOf(request))) return [401, "Not signed in"];
    return undefined;
  }

  private get cookie(): string {
    return `dd-dashboard-${this.port}`;
  }

  private tokenOf({ headers }: IncomingMessage): string {
    for (const pair of (headers.cookie ?? "").split(";")) {
      const [name, value = ""] = pair.trim().split("=");
      if (name === this.cookie) return value;
    }
    return "";
  }

  private signIn(request: IncomingMessage, response: ServerResponse): void {
    let text = "";
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => {
      text += chunk;
      if (text.length > SIGN_IN_BYTES_MAX) request.destroy();
    });
    request.on("end", () => {
      const token = this.sessions.signIn(codeOf(text));
      if (token === undefined) {
        refuse(response, 401, "The link has been used or is too old: run ddcli ui again");
        return;
      }
      response.writeHead(204, {
        ...SAFE_HEADERS,
        "Set-Cookie": `${this.cookie}=${token}; Path=/; HttpOnly; SameSite=Strict`,
      });
      response.end();
    });
  }
}

function codeOf(text: string): string {
  try {
    const { code } = JSON.parse(text) as { code?: unknown };
    return typeof code === "string" ? code : "";
  } catch {
    return "";
  }
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { ...SAFE_HEADERS, "Content-Type": "application/json" });
  response.end(`${JSON.stringify({ message })}\n`);
}
