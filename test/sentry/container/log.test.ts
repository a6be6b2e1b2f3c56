import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import test, { type ExecutionContext } from "ava";
import { Errno } from "../../../sentry/abi/errno.ts";
import { checkLogOptions, logSpec } from "../../../sentry/container/log-options.ts";
import { type LogEntry, type LogSelection, readLog } from "../../../sentry/container/log-reader.ts";
import {
  LOG_LINE_BYTES_MAX,
  LogPump,
  LogWriter,
  oldLog,
} from "../../../sentry/container/log-writer.ts";
import { EpollReactor } from "../../../sentry/host/epoll-reactor.ts";
import { close, O_NONBLOCK, pipe, setStatusFlags, writeBytes } from "../../../sentry/host/io.ts";
import { temporaryDirectories } from "./sample.ts";

const ALL: LogSelection = { tail: undefined, since: undefined, until: undefined };

function logPath(t: ExecutionContext): string {
  const { root } = temporaryDirectories(t);
  mkdirSync(root, { recursive: true });
  return join(root, "container.log");
}

function read(path: string, selection: Partial<LogSelection> = {}): LogEntry[] {
  const entries: LogEntry[] = [];
  readLog(path, { ...ALL, ...selection }, (entry) => entries.push(entry)).close();
  return entries;
}

/** Logs what is written to a pipe in these pieces. */
function logged(path: string, pieces: readonly Uint8Array[]): string[] {
  const reactor = new EpollReactor();
  const ends = pipe(0);
  if (ends instanceof Errno) throw new Error(ends.text);
  const [readEnd, writeEnd] = ends;
  setStatusFlags(readEnd, O_NONBLOCK);
  const log = new LogWriter(path);
  const pump = new LogPump(reactor, readEnd, "stdout", log);
  for (const piece of pieces) {
    writeBytes(writeEnd, piece);
    reactor.turn(0);
  }
  close(writeEnd);
  pump.finish();
  log.close();
  close(readEnd);
  reactor.close();
  return read(path).map((entry) => entry.log);
}

test("a log line is docker's json-file format", (t) => {
  const path = logPath(t);
  const log = new LogWriter(path);
  log.append("stderr", Buffer.from('say "hi"\n'));
  log.close();
  t.regex(
    readFileSync(path, "utf8"),
    /^\{"log":"say \\"hi\\"\\n","stream":"stderr","time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"\}\n$/,
  );
});

test("lines are put together however they are cut, and the last may lack its newline", (t) => {
  const pieces = ["one\ntw", "o\n", "\n", "thr", "ee"].map((text) => Buffer.from(text));
  t.deepEqual(logged(logPath(t), pieces), ["one\n", "two\n", "\n", "three"]);
});

test("a character that is cut in two is put together; bytes that are no text become U+FFFD", (t) => {
  const euro = Buffer.from("€");
  const pieces = [euro.subarray(0, 1), euro.subarray(1), Buffer.from([0xff, 10])];
  t.deepEqual(logged(logPath(t), pieces), ["€\ufffd\n"]);
});

test("an endless line is cut into entries of at most 16 KiB, never inside of a character", (t) => {
  const text = `${"€".repeat(LOG_LINE_BYTES_MAX)}\n`;
  const bytes = Buffer.from(text);
  const pieces = [
    bytes.subarray(0, 20_000),
    bytes.subarray(20_000, 40_000),
    bytes.subarray(40_000),
  ];
  const entries = logged(logPath(t), pieces);
  t.is(entries.join(""), text);
  t.true(entries.every((entry) => Buffer.byteLength(entry) <= LOG_LINE_BYTES_MAX));
  t.is(entries.length, 4);
});

test("a log that has grown too large makes room for a new one, and both are read", (t) => {
  const path = logPath(t);
  const log = new LogWriter(path, { fileBytes: 200 });
  for (let i = 0; i < 6; i++) log.append("stdout", Buffer.from(`line ${i} ${"x".repeat(60)}\n`));
  log.close();
  t.true(existsSync(`${path}.1`));
  t.true(readFileSync(path).length <= 400);
  const numbers = read(path).map(({ log }) => log.split(" ")[1]);
  t.deepEqual(numbers, ["2", "3", "4", "5"]);
  t.deepEqual(
    read(path, { tail: 3 }).map(({ log }) => log.split(" ")[1]),
    ["3", "4", "5"],
  );
});

test("tail, since and until choose entries", (t) => {
  const path = logPath(t);
  const at = (second: number) => `2026-01-01T00:00:0${second}.000Z`;
  for (let i = 0; i < 5; i++) {
    appendFileSync(path, `${JSON.stringify({ log: `${i}`, stream: "stdout", time: at(i) })}\n`);
  }
  const logs = (selection: Partial<LogSelection>) => read(path, selection).map(({ log }) => log);
  t.deepEqual(logs({ tail: 2 }), ["3", "4"]);
  t.deepEqual(logs({ tail: 0 }), []);
  t.deepEqual(logs({ since: Date.parse(at(3)) }), ["3", "4"]);
  t.deepEqual(logs({ until: Date.parse(at(1)), tail: 1 }), ["1"]);
});

test("lines a crash has cut short are skipped, and a log that is not there is empty", (t) => {
  const path = logPath(t);
  t.deepEqual(read(path), []);
  writeFileSync(
    path,
    '{"log":"a","stream":"stdout","time":"2026-01-01T00:00:00Z"}\n{"log":"b\nnull\n{"lo',
  );
  t.deepEqual(
    read(path).map(({ log }) => log),
    ["a"],
  );
});

test("following shows what comes, across a rotation, until nobody writes any more", async (t) => {
  const path = logPath(t);
  const log = new LogWriter(path, { fileBytes: 300 });
  const seen: string[] = [];
  const follower = readLog(path, ALL, ({ log }) => seen.push(log));
  let left = 8;
  await follower.follow(() => {
    left -= 1;
    if (left > 0) log.append("stdout", Buffer.from(`${left}`));
    return left > 0;
  });
  log.close();
  t.deepEqual(seen, ["7", "6", "5", "4", "3", "2", "1"]);
});

test("a full disk costs entries, not the container", (t) => {
  const log = new LogWriter("/dev/full");
  t.notThrows(() => log.append("stdout", Buffer.from("lost\n")));
  log.close();
});

for (const compress of [false, true]) {
  const kind = compress ? "compressed files" : "several files";
  test(`a log of ${kind} is read in order, however often rotated, also while it is followed`, (t) =>
    readsInOrder(t, compress));
}

function readsInOrder(t: ExecutionContext, compress: boolean): void {
  const path = logPath(t);
  const writer = new LogWriter(path, { fileBytes: 200, files: 4, compress });
  const seen: string[] = [];
  writer.append("stdout", Buffer.from("first\n"));
  const follower = readLog(path, ALL, ({ log }) => seen.push(log.trim()));
  const expected = ["first"];
  for (let i = 0; i < 60; i++) {
    writer.append(i % 2 ? "stdout" : "stderr", Buffer.from(`${i}\n`));
    expected.push(`${i}`);
    // Now and then more than one file is begun between two looks.
    if (i % 7 === 0) follower.readNew();
  }
  follower.readNew();
  follower.close();
  writer.close();
  t.deepEqual(seen, expected);
  const nameOf = (age: number) => oldLog(path, age) + (compress ? ".gz" : "");
  t.true(existsSync(nameOf(3)));
  t.false(existsSync(nameOf(4)));
  if (compress) t.false(existsSync(oldLog(path, 1)), "what is compressed is gone");
  const kept = read(path).map(({ log }) => log.trim());
  t.deepEqual(kept, expected.slice(-kept.length));
  t.true(kept.length > 6);
}

test("a large log is compressed bit by bit, and read as it is until that is done", (t) => {
  const path = logPath(t);
  const fileBytes = 1_000_000;
  const writer = new LogWriter(path, { fileBytes, files: 2, compress: true });
  const line = Buffer.from(`${"x".repeat(9999)}\n`);
  for (let i = 0; i < 100; i++) writer.append("stdout", line);
  t.false(existsSync(oldLog(path, 1)));
  writer.append("stdout", Buffer.from("next\n"));
  t.true(existsSync(oldLog(path, 1)));
  t.false(existsSync(`${oldLog(path, 1)}.gz`));
  const seen: number[] = [];
  const follower = readLog(path, ALL, ({ log }) => seen.push(log.length));
  t.is(seen.length, 101);
  for (let i = 0; i < 20; i++) writer.append("stdout", Buffer.from("more\n"));
  t.false(existsSync(oldLog(path, 1)));
  const packed = readFileSync(`${oldLog(path, 1)}.gz`);
  t.true(packed.length < fileBytes / 10);
  t.is(gunzipSync(packed).toString().split("\n").length, 101, "as any program reads it");
  follower.readNew();
  follower.close();
  t.is(seen.length, 121);
  t.is(read(path).length, 121);
  for (let i = 0; i < 101; i++) writer.append("stdout", line);
  writer.close();
  t.true(existsSync(oldLog(path, 1)));
  t.false(existsSync(`${oldLog(path, 1)}.gz`), "the oldest made room");
  t.true(read(path).length > 100);
});

test("a log of one file is begun again when it is full; a gap left by a kill is passed over", (t) => {
  const path = logPath(t);
  const one = new LogWriter(path, { fileBytes: 100, files: 1 });
  for (let i = 0; i < 9; i++) one.append("stdout", Buffer.from(`${i}\n`));
  one.close();
  t.false(existsSync(oldLog(path, 1)));
  t.is(read(path).at(-1)?.log, "8\n");
  const several = new LogWriter(path, { fileBytes: 100, files: 4 });
  for (let i = 0; i < 6; i++) several.append("stdout", Buffer.from(`more ${i}\n`));
  several.close();
  rmSync(oldLog(path, 1));
  t.is(read(path).at(-1)?.log, "more 5\n");
});

test("half an entry left by a killed writer does not spoil the next; attributes are in each entry", (t) => {
  const path = logPath(t);
  writeFileSync(
    path,
    '{"log":"whole\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}\n{"log":"ha',
  );
  const writer = new LogWriter(path, { attributes: { team: "a" } });
  writer.append("stdout", Buffer.from("next\n"));
  writer.close();
  t.deepEqual(
    read(path).map(({ log, attrs }) => [log, attrs]),
    [
      ["whole\n", undefined],
      ["next\n", { team: "a" }],
    ],
  );
});

test("log options are docker's, with docker's words for what is wrong", (t) => {
  const subject = {
    labels: { team: "a", other: "b" },
    env: ["STAGE=test", "X=1"],
    id: "0123456789abcdef",
    name: "web",
    imageName: "busybox",
  };
  t.is(logSpec("json-file", {}, subject), undefined);
  t.deepEqual(
    logSpec(
      "json-file",
      { "max-size": "10k", "max-file": "3", labels: "team,none", env: "STAGE", tag: "{{.Name}}" },
      subject,
    ),
    {
      driver: "json-file",
      fileBytes: 10_240,
      files: 3,
      attributes: { team: "a", STAGE: "test", tag: "web" },
    },
  );
  t.deepEqual(logSpec("none", {}, subject), { driver: "none" });
  t.like(logSpec("local", {}, subject), { driver: "local", files: 5 });
  const wrong = (driver: string, options: Record<string, string>, message: RegExp) =>
    t.throws(() => checkLogOptions(driver, options), { code: "INVALID_OPTION", message });
  wrong("fluent", {}, /no log driver named 'fluent' is registered/);
  wrong("json-file", { bogus: "1" }, /unknown log opt 'bogus' for json-file log driver/);
  wrong("json-file", { "max-size": "ten" }, /invalid size: 'ten'/);
  wrong("json-file", { "max-file": "0" }, /max-file cannot be less than 1/);
  wrong(
    "json-file",
    { "max-size": "1m", compress: "true" },
    /compress cannot be true when max-file/,
  );
  wrong("json-file", { compress: "maybe" }, /parsing "maybe": invalid syntax/);
  t.like(logSpec("json-file", { "max-size": "1m", "max-file": "2", compress: "true" }, subject), {
    compress: true,
  });
  wrong("none", { "max-size": "1m" }, /unknown log opt 'max-size' for none/);
});
