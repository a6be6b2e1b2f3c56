import { Type } from "@sinclair/typebox";
import type { ConsoleSize, ExecsEngine, PreparedExec } from "../engine/execs.ts";
import { ApiError } from "../errors.ts";
import { created, done, type HijackAnswer, hijack, json, type Row, route } from "../row.ts";
import { flag, list, members, type Of, query, queryOf, text, texts, words } from "../schema.ts";

/** Numbers, read by {@link sizeOf} for docker's words. */
export const SIZE_QUERY = queryOf({
  h: query.text("Rows of the terminal"),
  w: query.text("Columns of the terminal"),
});

/** @throws {ApiError} `INVALID_SIZE`: both have to be given. */
export function sizeOf({ h = "", w = "" }: Of<typeof SIZE_QUERY>): ConsoleSize {
  return clampSize(sideOf("height", h), sideOf("width", w));
}

function sideOf(side: string, text: string): number {
  if (!/^[+-]?\d+$/.test(text)) throw new ApiError("INVALID_SIZE", side, text, "invalid syntax");
  const value = Number(text);
  if (value >= 0 && value < 2 ** 32) return value;
  throw new ApiError("INVALID_SIZE", side, text, "value out of range");
}

export const consoleSizeOf = (
  size: readonly number[] | null | undefined,
): ConsoleSize | undefined =>
  size == null || size.length < 2 || (size[0] === 0 && size[1] === 0)
    ? undefined
    : clampSize(size[0] ?? 0, size[1] ?? 0);

const SIDE_MAX = 0xffff;

function clampSize(rows: number, cols: number): ConsoleSize {
  if (rows < 0 || rows > SIDE_MAX || cols < 0 || cols > SIDE_MAX) {
    throw new ApiError("INVALID", "a terminal has at most 65535 rows and columns");
  }
  return { rows, cols };
}

/** The streams of an exec that is not detached. */
export function execStreams({ tty, detachKeys, start }: PreparedExec): HijackAnswer {
  return {
    kind: "streams",
    tty,
    detachKeys,
    begin: async () => {
      const streams = await start();
      if (streams === undefined) throw new ApiError("INVALID", "it is to run detached");
      return streams;
    },
  };
}

export function execRows(execs: ExecsEngine): readonly Row[] {
  return [
    route({
      method: "POST",
      url: "/containers/:id/exec",
      summary: "Prepare a further process of a running container",
      body: members({
        AttachStdin: flag(),
        AttachStdout: flag(),
        AttachStderr: flag(),
        ConsoleSize: list(Type.Integer()),
        DetachKeys: text(),
        Tty: flag(),
        Env: texts(),
        Cmd: words(),
        Privileged: flag(),
        User: text(),
        WorkingDir: text(),
        Detach: flag(),
      }),
      handle: async ({ params: { id = "" }, body }) => {
        const argv = typeof body.Cmd === "string" ? [body.Cmd] : (body.Cmd ?? []);
        if (argv.length === 0) throw new ApiError("NO_EXEC_COMMAND");
        const Id = await execs.create(id, {
          argv,
          env: body.Env ?? [],
          user: body.User || undefined,
          workdir: body.WorkingDir || undefined,
          tty: body.Tty ?? false,
          privileged: body.Privileged ?? false,
          attachStdin: body.AttachStdin ?? false,
          attachStdout: body.AttachStdout ?? false,
          attachStderr: body.AttachStderr ?? false,
          detachKeys: body.DetachKeys || undefined,
          consoleSize: consoleSizeOf(body.ConsoleSize),
        });
        return created({ Id });
      },
    }),
    hijack({
      method: "POST",
      url: "/exec/:id/start",
      summary: "Start it, and be joined with its streams",
      over: "tcp",
      body: members({ Detach: flag(), Tty: flag(), ConsoleSize: list(Type.Integer()) }),
      open: async ({ params: { id = "" }, body }) => {
        const detach = body.Detach ?? false;
        const prepared = execs.prepare(id, {
          detach,
          tty: body.Tty ?? undefined,
          consoleSize: consoleSizeOf(body.ConsoleSize),
        });
        if (!detach) return execStreams(prepared);
        await prepared.start();
        return done(200);
      },
    }),
    route({
      method: "POST",
      url: "/exec/:id/resize",
      summary: "Set the size of its terminal",
      query: SIZE_QUERY,
      handle: async ({ params: { id = "" }, query }) => {
        await execs.resize(id, sizeOf(query));
        return done(200);
      },
    }),
    route({
      method: "GET",
      url: "/exec/:id/json",
      summary: "What it is, whether it runs, how it ended",
      handle: async ({ params: { id = "" } }) => json(await execs.inspect(id)),
    }),
  ];
}
