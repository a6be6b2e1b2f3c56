import { join } from "node:path";
import test from "ava";
import { readPieces } from "../../daemon/container/logs.ts";
import { LogWriter } from "../../sentry/container/log-writer.ts";
import { scratch } from "../sentry/image/tar-fixture.ts";

const CHOICE = {
  ...{ stdout: true, stderr: true, follow: false },
  ...{ tail: undefined, since: undefined, until: undefined },
};
const LONG_MS = 1_000_000;
const never = new Promise<never>(() => {});

async function textOf(pieces: ReturnType<typeof readPieces>): Promise<string> {
  let text = "";
  for await (const { bytes } of pieces) text += Buffer.from(bytes).toString();
  return text;
}

test("a log that is asked for too early is shown once there are first words", async (t) => {
  const path = join(scratch(t), "container.log");
  const log = new LogWriter(path);
  const gone = new AbortController();
  const end = { ended: never, firstWordsMs: LONG_MS };
  const shown = textOf(readPieces(path, CHOICE, end, gone.signal));
  setImmediate(() => log.append("stdout", Buffer.from("first\n")));
  t.is(await shown, "first\n");
  log.close();
});

test("a log that is asked for too early is empty when nothing comes until its container's end", async (t) => {
  const path = join(scratch(t), "container.log");
  new LogWriter(path).close();
  const gone = new AbortController();
  const end = { ended: Promise.resolve(), firstWordsMs: LONG_MS };
  t.is(await textOf(readPieces(path, CHOICE, end, gone.signal)), "");
  const none = { ended: never, firstWordsMs: 1 };
  t.is(await textOf(readPieces(path, CHOICE, none, gone.signal)), "");
});
