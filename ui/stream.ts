/** Answers that come piece by piece. */
import { type Choice, request } from "./engine.ts";

const LINE_LENGTH_MAX = 1 << 20;

async function* chunks(response: Response): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** The JSON values of an answer with one per line. */
export async function* jsonLines<T>(path: string, choice: Choice): AsyncGenerator<T> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks(await request(path, choice))) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > LINE_LENGTH_MAX) throw new Error("The engine's answer is malformed");
    for (const line of lines) if (line.trim() !== "") yield JSON.parse(line) as T;
  }
}

export interface LogLine {
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

const HEADER_BYTES = 8;
const STDERR = 2;

/** The lines of a log: raw of a container with a terminal, else in docker's frames. */
export async function* logLines(
  path: string,
  choice: Choice,
  tty: boolean,
): AsyncGenerator<LogLine> {
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  const rests = { stdout: "", stderr: "" };
  function* split(stream: LogLine["stream"], bytes: Uint8Array): Generator<LogLine> {
    const lines = (rests[stream] + decoders[stream].decode(bytes, { stream: true })).split("\n");
    rests[stream] = (lines.pop() ?? "").slice(-LINE_LENGTH_MAX);
    for (const text of lines) yield { stream, text };
  }
  let held = new Uint8Array(0);
  for await (const chunk of chunks(await request(path, choice))) {
    if (tty) {
      yield* split("stdout", chunk);
      continue;
    }
    const joined = new Uint8Array(held.length + chunk.length);
    joined.set(held);
    joined.set(chunk, held.length);
    held = joined;
    for (;;) {
      if (held.length < HEADER_BYTES) break;
      const length = new DataView(held.buffer, held.byteOffset).getUint32(4);
      if (held.length < HEADER_BYTES + length) break;
      const stream = held[0] === STDERR ? "stderr" : "stdout";
      yield* split(stream, held.subarray(HEADER_BYTES, HEADER_BYTES + length));
      held = held.slice(HEADER_BYTES + length);
    }
  }
  for (const stream of ["stdout", "stderr"] as const) {
    if (rests[stream] !== "") yield { stream, text: rests[stream] };
  }
}
