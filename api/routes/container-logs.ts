import type { ContainersEngine, LogPiece } from "../engine/containers.ts";
import { ApiError } from "../errors.ts";
import { streamType } from "../hijack.ts";
import { frame, STDERR, STDOUT } from "../multiplex.ts";
import { type Row, route } from "../row.ts";
import { query, queryOf } from "../schema.ts";
import { parseTime } from "../time.ts";
import { atLeast } from "../version.ts";

export function logsRow(containers: ContainersEngine): Row {
  return route({
    method: "GET",
    url: "/containers/:id/logs",
    summary: "What it has printed",
    query: queryOf({
      follow: query.flag("Also what it will print"),
      stdout: query.flag("Standard output"),
      stderr: query.flag("Standard error"),
      since: query.text("Only what was printed since"),
      until: query.text("Only what was printed before"),
      timestamps: query.flag("Begin each line with its time"),
      tail: query.text("Only the last so many lines, or all"),
      details: query.flag("Begin each line with the details the log's options ask for"),
    }),
    handle: async ({ params: { id = "" }, query: choice, version, gone }) => {
      const { stdout = false, stderr = false } = choice;
      if (!stdout && !stderr) {
        throw new ApiError("INVALID", "Bad parameters: you must choose at least one stream");
      }
      const { tty, pieces } = await containers.logs(
        id,
        {
          stdout,
          stderr,
          follow: choice.follow ?? false,
          tail: tailOf(choice.tail),
          since: parseTime("since", choice.since),
          until: parseTime("until", choice.until),
        },
        gone,
      );
      return {
        kind: "stream",
        type: streamType(tty, atLeast(version, "1.42")),
        body: render(pieces, tty, choice.timestamps ?? false, choice.details ?? false),
      };
    },
  });
}

/** A number that is none means all, as docker has it. */
function tailOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

async function* render(
  pieces: AsyncIterable<LogPiece>,
  tty: boolean,
  timestamps: boolean,
  details: boolean,
): AsyncIterable<Uint8Array> {
  for await (const { stream, time, bytes, details: extra } of pieces) {
    const before = `${timestamps ? `${time} ` : ""}${details ? `${extra} ` : ""}`;
    const line = before === "" ? bytes : Buffer.concat([Buffer.from(before), bytes]);
    yield tty ? line : frame(stream === "stderr" ? STDERR : STDOUT, line);
  }
}
