import { lineRanges } from "../lint/answers.ts";
import { codec, type Timestamp, timestamp } from "../proto/messages.ts";
import type { ProgressEvent } from "../solve/progress.ts";

interface Vertex {
  readonly digest: string;
  readonly inputs: readonly string[];
  readonly name: string;
  readonly cached: boolean;
  readonly started: Timestamp | null;
  readonly completed: Timestamp | null;
  readonly error: string;
}

export interface StatusResponse {
  readonly vertexes: readonly Partial<Vertex>[];
  readonly statuses: readonly object[];
  readonly logs: readonly object[];
  readonly warnings: readonly object[];
}
export const STATUS_RESPONSE = codec<StatusResponse>("StatusResponse");

/** As {@link statusOf}, encoded. */
export function statusBytes(event: ProgressEvent): Uint8Array {
  return STATUS_RESPONSE.encode(statusOf(event));
}

/** What happened in a build, as BuildKit's clients draw it. */
export function statusOf(event: ProgressEvent): Partial<StatusResponse> {
  const { digest, name, inputs } = event.vertex;
  switch (event.kind) {
    case "vertex": {
      const { startedAt, completedAt, cached, error = "" } = event;
      const started = timestamp(startedAt);
      const completed = completedAt === undefined ? {} : { completed: timestamp(completedAt) };
      return { vertexes: [{ digest, inputs, name, cached, error, started, ...completed }] };
    }
    case "status": {
      const { id: ID, current, total, startedAt, completedAt, at } = event;
      const completed = completedAt === undefined ? {} : { completed: timestamp(completedAt) };
      const times = { timestamp: timestamp(at), started: timestamp(startedAt), ...completed };
      return { statuses: [{ ID, vertex: digest, name: ID, current, total, ...times }] };
    }
    case "log":
      return {
        logs: [
          {
            vertex: digest,
            timestamp: timestamp(event.at),
            stream: event.stream,
            msg: event.bytes,
          },
        ],
      };
    case "warning": {
      const { message, detail, url, source, range } = event.warning;
      const info = { filename: source.name, data: source.dockerfile, language: "Dockerfile" };
      const texts = { short: Buffer.from(message), detail: [Buffer.from(detail)], url };
      const place = { info, ranges: lineRanges(range) };
      return { warnings: [{ vertex: digest, level: 1, ...texts, ...place }] };
    }
  }
}
