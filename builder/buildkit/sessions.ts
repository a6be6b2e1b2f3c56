import { randomBytes } from "node:crypto";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { BuildError } from "../errors.ts";
import { GrpcClient } from "../grpc/client.ts";
import { GrpcError } from "../grpc/status.ts";
import { codec } from "../proto/messages.ts";
import type { SecretSource } from "../solve/request.ts";

/** How long a build waits for its client's session to appear. */
const SESSION_WAIT_MS = 5000;

interface Bytes {
  readonly data: Buffer;
}
const BYTES = codec<Bytes>("BytesMessage");
const GET_SECRET = codec<{ readonly ID: string }>("GetSecretRequest");
const SECRET = codec<Bytes>("GetSecretResponse");
const CHECK_AGENT = codec<{ readonly ID: string }>("CheckAgentRequest");
const EMPTY = codec<object>("Empty");
const CREDENTIALS = codec<{ readonly Host: string }>("CredentialsRequest");
const LOGIN = codec<{ readonly Username: string; readonly Secret: string }>("CredentialsResponse");

/** What a client lends to its builds: files, secrets, an agent, logins. The engine is the one who calls. */
export class ClientSession implements SecretSource {
  readonly id: string;
  readonly client: GrpcClient;
  readonly #runDirectory: string;

  constructor(id: string, connection: Duplex, runDirectory: string) {
    this.id = id;
    this.client = new GrpcClient(connection);
    this.#runDirectory = runDirectory;
  }

  async secret(id: string): Promise<Uint8Array | undefined> {
    try {
      const path = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
      const { data } = await this.client.unary(path, GET_SECRET, SECRET, { ID: id });
      return data;
    } catch (error) {
      return unlessLacking(error);
    }
  }

  async agentSocket(id: string, signal: AbortSignal): Promise<string | undefined> {
    try {
      await this.client.unary("/moby.sshforward.v1.SSH/CheckAgent", CHECK_AGENT, EMPTY, { ID: id });
    } catch (error) {
      return unlessLacking(error);
    }
    const path = join(this.#runDirectory, `ssh-${randomBytes(6).toString("hex")}.sock`);
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#forward(socket, id));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, resolve);
    });
    signal.addEventListener("abort", () => server.close());
    return path;
  }

  /** Joins a connection to the agent's socket with the client's agent. */
  #forward(socket: Socket, id: string): void {
    const call = this.client.stream("/moby.sshforward.v1.SSH/ForwardAgent", BYTES, BYTES, {
      "buildkit.ssh.id": id,
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => call.cancel());
    socket.on("data", (data) => {
      socket.pause();
      call.send({ data }).then(
        () => socket.resume(),
        () => socket.destroy(),
      );
    });
    socket.on("end", () => call.end());
    const pass = async (): Promise<void> => {
      for await (const { data } of call.responses()) socket.write(data);
      socket.end();
    };
    pass().catch(() => socket.destroy());
  }

  /** The login for a registry, if the client has one. */
  async credentials(host: string): Promise<{ username: string; secret: string } | undefined> {
    try {
      const path = "/moby.filesync.v1.Auth/Credentials";
      const login = await this.client.unary(path, CREDENTIALS, LOGIN, { Host: host });
      if (login.Username === "" && login.Secret === "") return undefined;
      return { username: login.Username, secret: login.Secret };
    } catch (error) {
      return unlessLacking(error);
    }
  }
}

/** A client that does not have it, or does not offer such things, is no error. */
function unlessLacking(error: unknown): undefined {
  const { code } = error as { code?: unknown };
  if (error instanceof GrpcError && (code === "NOT_FOUND" || code === "UNIMPLEMENTED"))
    return undefined;
  // Go's plain errors come as UNKNOWN, with their words.
  if (error instanceof GrpcError && /not found|unset ssh|no SSH/i.test(error.message))
    return undefined;
  throw error;
}

/** The sessions that clients have open, by id. */
export class Sessions {
  readonly #open = new Map<string, ClientSession>();
  readonly #waiting = new Map<string, Set<(session: ClientSession) => void>>();
  readonly #runDirectory: string;

  /** @param runDirectory host directory for sockets */
  constructor(runDirectory: string) {
    this.#runDirectory = runDirectory;
  }

  /** Takes a connection that a client offers as its session. */
  add(id: string, connection: Duplex): void {
    const session = new ClientSession(id, connection, this.#runDirectory);
    this.#open.set(id, session);
    session.client.onClose(() => {
      if (this.#open.get(id) === session) this.#open.delete(id);
    });
    for (const tell of this.#waiting.get(id) ?? []) tell(session);
    this.#waiting.delete(id);
  }

  /**
   * The session of that id; one that is not there yet is waited for.
   * @throws {BuildError} BUILD_INPUT
   */
  get(id: string): Promise<ClientSession> {
    const open = this.#open.get(id);
    if (open !== undefined) return Promise.resolve(open);
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(id) ?? new Set();
      this.#waiting.set(id, waiting);
      const timer = setTimeout(() => {
        waiting.delete(tell);
        if (waiting.size === 0) this.#waiting.delete(id);
        reject(
          new BuildError("BUILD_INPUT", `no active session for ${id}: context deadline exceeded`),
        );
      }, SESSION_WAIT_MS);
      const tell = (session: ClientSession) => {
        clearTimeout(timer);
        resolve(session);
      };
      waiting.add(tell);
    });
  }
}
