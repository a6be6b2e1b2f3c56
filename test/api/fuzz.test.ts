/**
 * Every route under requests made of its own schema: right, nearly right, and wrong. No answer may be a fault,
 * none may fail to come, and afterwards the engine has to work as before.
 */
import { connect } from "node:net";
import test from "ava";
import fc from "fast-check";
import type { Engine } from "../../api/engine.ts";
import { allRows } from "../../api/routes.ts";
import type { Row } from "../../api/row.ts";
import { type Served, serve } from "./served.ts";

const REQUESTS_PER_ROUTE = 8;
/** A route that answers with a stream may go on for ever. */
const STREAM_MS = 30;
const SEED = 20_261_121;

/** Words that have been trouble somewhere; none is a path a container could be given that does harm. */
const WORDS = [
  ...[
    "",
    "a",
    "0",
    "-1",
    "1",
    "true",
    "running",
    "id=",
    "x".repeat(300),
    "../..",
    "/",
    "/tmp",
    "\u0000",
  ],
  ...[
    "né",
    "%2e%2e",
    "127.0.0.1:1/x",
    "127.0.0.1:1/x:tag",
    "sha256:00",
    "host",
    "tested",
    "80/tcp",
    "1-0",
  ],
  ...[
    '{"label":["a"]}',
    '{"status":{"nosuch":true}}',
    "{",
    "[]",
    "null",
    "10.0.0.0/8",
    "::1",
    "bridge",
  ],
];
const word = fc.constantFrom(...WORDS);
const odd = fc.oneof(
  word,
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.constant([]),
  fc.constant({}),
  fc.constant([[null]]),
);

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly const?: unknown;
}

/** Values a schema allows, and now and then one that it does not. */
function valuesOf(schema: Schema, depth = 0): fc.Arbitrary<unknown> {
  if (depth > 6) return fc.constant(null);
  const fitting = fittingOf(schema, depth);
  return depth === 0
    ? fitting
    : fc.oneof({ weight: 12, arbitrary: fitting }, { weight: 1, arbitrary: odd });
}

function fittingOf(schema: Schema, depth: number): fc.Arbitrary<unknown> {
  if (schema.anyOf !== undefined) {
    return fc.oneof(...schema.anyOf.map((each) => valuesOf(each, depth + 1)));
  }
  const { properties, patternProperties } = schema;
  switch (schema.type) {
    case "object":
      if (properties !== undefined) {
        const members = Object.entries(properties).map(
          ([name, each]) => [name, valuesOf(each, depth + 1)] as const,
        );
        return fc.record(Object.fromEntries(members), { requiredKeys: [] });
      }
      return fc.dictionary(
        word,
        valuesOf(Object.values(patternProperties ?? {})[0] ?? {}, depth + 1),
        {
          maxKeys: 3,
        },
      );
    case "array":
      return fc.array(valuesOf(schema.items ?? {}, depth + 1), { maxLength: 3 });
    case "string":
      return word;
    case "integer":
      return fc.oneof(fc.integer({ min: -1, max: 10 }), fc.maxSafeInteger());
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    default:
      return odd;
  }
}

/** Routes that ask a registry; nobody listens at the one they are given. */
const REGISTRY_ROUTES = /^\/(distribution|auth|images\/(create|search|:name\/push))/;
const registryWord = fc.constantFrom("", "127.0.0.1:1/x", "127.0.0.1:1/x:tag", "\u0000", "né", "/");

const rows = allRows({} as Engine);
let served: Served;

test.before(async (t) => {
  t.timeout(300_000);
  served = await serve();
});
test.after.always(() => served?.close());

test.beforeEach(async () => {
  const running = { Image: "host", Cmd: ["sleep", "1000"], OpenStdin: true };
  await served.request("POST", "/containers/create?name=tested", { body: running });
  await served.request("POST", "/containers/tested/start");
});

for (const row of rows) {
  // A tunnel has no answer without its upgrade.
  if (row.kind === "tunnel") continue;
  test.serial(`no fault and no silence: ${row.method} ${row.url}`, async (t) => {
    t.timeout(300_000);
    const asksRegistry = REGISTRY_ROUTES.test(row.url);
    const words = asksRegistry ? registryWord : word;
    const queries = fc.record(
      Object.fromEntries(Object.keys(row.query?.["properties"] ?? {}).map((name) => [name, words])),
      { requiredKeys: [] },
    );
    const bodies = asksRegistry
      ? fc.constant(row.body === undefined ? null : { serveraddress: "127.0.0.1:1" })
      : fc.option(valuesOf((row.body ?? {}) as Schema));
    const samples = fc.sample(fc.tuple(words, queries, bodies, word), {
      numRuns: asksRegistry ? 2 : REQUESTS_PER_ROUTE,
      seed: SEED,
    });
    for (const [name, query, body, version] of samples) {
      const path = row.url.replaceAll(/:\w+/g, () => encodeURIComponent(name || "tested"));
      const search = new URLSearchParams(query as Record<string, string>).toString();
      const prefix = version === "1" ? "/v1.24" : version === "0" ? "/v1.41" : "";
      const { status, text } = await served.request(row.method, `${prefix}${path}?${search}`, {
        ...requestBody(row, body),
        streamMs: STREAM_MS,
      });
      const said = `${row.method} ${path}?${search} ${JSON.stringify(body)}: ${status} ${text}`;
      if (status >= 500) t.true(served.reasons.splice(0).length > 0, said);
      if (status >= 400 && row.method !== "HEAD") t.regex(text, /^\{"message":".+"\}\n$/s, said);
    }
    t.deepEqual(served.faults.splice(0), []);
  });
}

function requestBody(row: Row, body: unknown) {
  if (row.method === "GET" || row.method === "HEAD" || body === null) return {};
  if (row.kind === "route" && row.upload) {
    return { raw: { type: "application/x-tar", bytes: JSON.stringify(body) } };
  }
  return { body };
}

const MALFORMED: readonly (readonly [name: string, type: string, bytes: string, status: RegExp])[] =
  [
    ["no JSON", "application/json", "{", /400/],
    ["a list", "application/json", "[]", /400/],
    ["a wrong type", "application/json", '{"Tty":"yes"}', /400/],
    ["a forbidden name", "application/json", '{"__proto__":{"Image":"host"}}', /400/],
    ["another type", "text/plain", '{"Image":"host"}', /400/],
    ["deep nesting", "application/json", `{"Image":${"[".repeat(50_000)}`, /400/],
  ];

for (const [name, type, bytes, status] of MALFORMED) {
  test.serial(`a body is refused: ${name}`, async (t) => {
    const response = await served.request("POST", "/containers/create", { raw: { type, bytes } });
    t.regex(String(response.status), status);
    t.is(typeof response.json()["message"], "string");
    t.deepEqual(served.faults.splice(0), []);
  });
}

test.serial("a body beyond every bound is refused before it is read", async (t) => {
  const socket = connect(served.socketPath);
  socket.write(
    "POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n" +
      `Content-Length: ${2 ** 40}\r\n\r\n{`,
  );
  t.regex(await firstBytes(socket), /^HTTP\/1\.1 413 /);
});

const UPGRADES: readonly (readonly [name: string, text: string, answer: RegExp])[] = [
  ["an unknown path", "POST /nosuch HTTP/1.1\r\nUpgrade: tcp", /^HTTP\/1\.1 404 /],
  ["an unknown exec", "POST /exec/nosuch/start HTTP/1.1\r\nUpgrade: tcp", /^HTTP\/1\.1 404 /],
  [
    "a version of the future",
    "POST /v9.9/exec/x/start HTTP/1.1\r\nUpgrade: tcp",
    /^HTTP\/1\.1 400 /,
  ],
  [
    "a length that is none",
    "POST /exec/x/start HTTP/1.1\r\nUpgrade: tcp\r\nContent-Length: 99999999",
    /^HTTP\/1\.1 413 /,
  ],
  [
    "a body in pieces",
    "POST /exec/x/start HTTP/1.1\r\nUpgrade: tcp\r\nTransfer-Encoding: chunked",
    /^HTTP\/1\.1 400 /,
  ],
  [
    "a path with a broken escape",
    "POST /exec/%zz/start HTTP/1.1\r\nUpgrade: tcp",
    /^HTTP\/1\.1 400 /,
  ],
];

for (const [name, text, answer] of UPGRADES) {
  test.serial(`an upgrade is refused: ${name}`, async (t) => {
    const socket = connect(served.socketPath);
    socket.write(`${text}\r\nHost: d\r\nConnection: Upgrade\r\n\r\n`);
    t.regex(await firstBytes(socket), answer);
  });
}

test.serial("after all of that a container runs", async (t) => {
  const body = { Image: "host", Cmd: ["sh", "-c", "exit 3"] };
  const { Id } = (await served.request("POST", "/containers/create", { body })).json();
  await served.request("POST", `/containers/${Id}/start`);
  const { text } = await served.request("POST", `/containers/${Id}/wait`);
  t.is(text, '{"StatusCode":3}\n');
  t.deepEqual(served.faults, []);
});

function firstBytes(socket: ReturnType<typeof connect>): Promise<string> {
  return new Promise((resolve, reject) => {
    socket.once("data", (bytes) => {
      resolve(bytes.toString("latin1"));
      socket.destroy();
    });
    socket.once("error", reject);
    socket.once("end", () => reject(new Error("The connection ended without an answer")));
  });
}
