import { Duplex } from "node:stream";
import { conversation, type Method } from "../grpc/server.ts";
import { GrpcError } from "../grpc/status.ts";
import { codec } from "../proto/messages.ts";
import { Messages } from "../solve/messages.ts";
import type { BuildkitEngine } from "./engine.ts";

const BYTES = codec<{ readonly data: Uint8Array }>("BytesMessage");
const ID = "x-docker-expose-session-uuid";

/** A session inside of a call: its messages are the bytes of the connection, for clients that have no other. */
export function sessionMethod(engine: BuildkitEngine): Method {
  const path = "/moby.buildkit.v1.Control/Session";
  return conversation(path, BYTES, BYTES, async function* (requests, call) {
    const id = call.headers[ID];
    if (typeof id !== "string" || id === "") {
      throw new GrpcError("INVALID_ARGUMENT", `no ${ID}`);
    }
    const outgoing = new Messages<{ readonly data: Uint8Array }>();
    const connection = new Duplex({
      read() {},
      write(data: Buffer, _, done) {
        outgoing.tell({ data });
        done();
      },
      final(done) {
        outgoing.end();
        done();
      },
      destroy(error, done) {
        outgoing.end();
        done(error);
      },
    });
    connection.on("error", () => connection.destroy());
    const take = async (): Promise<void> => {
      for await (const { data } of requests) connection.push(data);
      connection.push(null);
    };
    take().catch(() => connection.destroy());
    engine.sessions.add(id, connection);
    try {
      yield* outgoing;
    } finally {
      connection.destroy();
    }
  });
}
