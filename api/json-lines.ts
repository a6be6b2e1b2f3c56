import type { Answer } from "./row.ts";

/** A stream of JSON values, a line each, as docker's events and stats have it. */
export function jsonLines(values: AsyncIterable<unknown>): Answer {
  return { kind: "stream", type: "application/json", body: lines(values, "\n") };
}

/**
 * Progress of a pull, push, load, import or build: docker's `jsonmessage`s. What goes wrong before the first
 * message is thrown, and so answered with a status; later it is told in a message.
 */
export async function jsonMessages(messages: AsyncIterable<unknown>): Promise<Answer> {
  const iterator = messages[Symbol.asyncIterator]();
  const first = await iterator.next();
  const rest = async function* () {
    try {
      for (let next = first; next.done !== true; next = await iterator.next()) yield next.value;
    } catch (error) {
      const { message, status } = error as Error & { status?: number };
      yield {
        errorDetail: { ...(status === undefined ? {} : { code: status }), message },
        error: message,
      };
    } finally {
      await iterator.return?.();
    }
  };
  return { kind: "stream", type: "application/json", body: lines(rest(), "\r\n") };
}

async function* lines(values: AsyncIterable<unknown>, end: string): AsyncIterable<Uint8Array> {
  for await (const value of values) yield Buffer.from(`${JSON.stringify(value)}${end}`);
}
