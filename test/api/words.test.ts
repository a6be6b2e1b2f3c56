/** What the API says of requests that make no sense, in the words of docker's engine, which Go's clients match. */
import test from "ava";
import { checkBody, parseJson } from "../../api/check.ts";
import { type Served, serve } from "./served.ts";

let served: Served;
test.before(async () => {
  served = await serve();
});
test.after.always(() => served.close());

/** Texts that are no JSON, and what Go's decoder says of them. */
const BODIES = [
  ["{invalid json", "invalid character 'i' looking for beginning of object key string"],
  ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
  ['{"a" 1}', "invalid character '1' after object key"],
  ['{"a":1 "b"}', "invalid character '\"' after object key:value pair"],
  ['{"a":[1 2]}', "invalid character '2' after array element"],
  ['{"a":nul}', "invalid character '}' in literal null (expecting 'l')"],
  ['{"a":-}', "invalid character '}' in numeric literal"],
  ['{"a":1.x}', "invalid character 'x' after decimal point in numeric literal"],
  ['{"a":"\\x"}', "invalid character 'x' in string escape code"],
  ['{"a":"\\u00g0"}', "invalid character 'g' in \\u hexadecimal character escape"],
  ["'", "invalid character '\\'' looking for beginning of value"],
  ['{"a":"\n"}', "invalid character '\\n' in string literal"],
  ['{"a":{"b":[', "unexpected EOF"],
  ['{"a":"b', "unexpected EOF"],
] as const;

for (const [body, words] of BODIES) {
  test(`a body is no JSON: ${JSON.stringify(body)}`, (t) => {
    const error = t.throws(() => parseJson(Buffer.from(body)));
    t.is(error?.message, `invalid JSON: ${words}`);
  });
}

test("JSON with something behind it is refused, and nesting without end is no fault", (t) => {
  const refusal = (body: string) => t.throws(() => parseJson(Buffer.from(body)))?.message;
  t.is(refusal("{} more"), "unexpected content after JSON");
  t.is(refusal(`{"a":${"[".repeat(200_000)}`), "invalid JSON: exceeded max depth");
  t.deepEqual(checkBody(undefined, parseJson(Buffer.from(' {"a": [1, {}]} '))), { a: [1, {}] });
});

/** Requests that are refused, with status and words. */
const REFUSED = [
  ["POST", "/containers/x/resize?w=100", 400, 'invalid resize height "": invalid syntax'],
  ["POST", "/containers/x/resize?h=a&w=1", 400, 'invalid resize height "a": invalid syntax'],
  ["POST", "/exec/x/resize?h=1&w=-100", 400, 'invalid resize width "-100": value out of range'],
  [
    "POST",
    "/exec/x/resize?h=4294967296&w=1",
    400,
    'invalid resize height "4294967296": value out of range',
  ],
  ["POST", "/exec/x/resize?h=1&w=1", 404, "No such exec instance: x"],
  ["POST", "/session", 400, "no upgrade proto in request"],
  ["GET", "/containers/x/attach/ws", 404, "No such container: x"],
  [
    "GET",
    "/containers/json?filters=%7B%22status%22%3A%5B%22odd%22%5D%7D",
    400,
    "invalid filter 'status=odd': invalid value for state (odd): must be one of created, running, " +
      "paused, restarting, removing, exited, dead",
  ],
  ["GET", "/events?since=2&until=1", 400, "`since` time (2) cannot be after `until` time (1)"],
  [
    "GET",
    "/images/get?names=a&platform=linux%2Famd64&platform=linux%2Farm64",
    400,
    "multiple platform parameters not supported",
  ],
] as const;

for (const [method, path, status, words] of REFUSED) {
  test(`${method} ${path} is refused in docker's words`, async (t) => {
    const response = await served.request(method, path);
    t.is(response.status, status);
    t.is(response.json()["message"], words);
  });
}

/** Resources no host can give, and what is said of them. */
const RESOURCES = [
  [{ Memory: 1024 }, "Minimum memory limit allowed is 6MB"],
  [
    { Memory: 2 ** 24, MemorySwap: 2 ** 23 },
    "Minimum memoryswap limit should be larger than memory limit, see usage",
  ],
  [
    { MemorySwap: 2 ** 24 },
    "You should always set the Memory limit when using Memoryswap limit, see usage",
  ],
  [
    { Memory: 2 ** 24, MemoryReservation: 2 ** 25 },
    "Minimum memory limit can not be less than memory reservation limit, see usage",
  ],
  [{ MemorySwappiness: 101 }, "Invalid value: 101, valid memory swappiness range is 0-100"],
  [{ CpuShares: -1 }, "invalid CPU shares (-1): value must be a positive integer"],
  [{ BlkioWeight: 5 }, "Range of blkio weight is from 10 to 1000"],
  [{ CpusetMems: "42-3,1--" }, "Invalid value 42-3,1-- for cpuset mems"],
] as const;

for (const [HostConfig, words] of RESOURCES) {
  test(`a container is refused: ${words}`, async (t) => {
    const body = { Image: "host", Cmd: ["true"], HostConfig };
    const response = await served.request("POST", "/containers/create", { body });
    t.like(response, { status: 400 });
    t.is(response.json()["message"], words);
  });
}

test("an upgrade to something else is refused by its name", async (t) => {
  const headers = { Upgrade: "foo" };
  const { status, text } = await served.request("POST", "/session", { headers });
  t.is(status, 400);
  t.regex(text, /protocol foo not supported/);
});

test("a type that is no JSON is refused, also one that is empty", async (t) => {
  for (const type of ["text/plain", ""]) {
    const raw = { type, bytes: "{}" };
    const { status, text } = await served.request("POST", "/containers/create", { raw });
    t.is(status, 400);
    t.true(text.includes(`unsupported Content-Type header (${type})`), text);
  }
});

test("networks are listed with a slash behind them, too; any path may be asked for its options", async (t) => {
  const names = async (path: string) => (await served.request("GET", path)).text;
  t.is(await names("/networks/"), await names("/networks"));
  t.is((await served.request("OPTIONS", "/")).status, 200);
});

test("what has left the answers is still told to clients that know it", async (t) => {
  const told = async (version: string) =>
    "BridgeNfIptables" in (await served.request("GET", `/v${version}/info`)).json();
  t.true(await told("1.49"));
  t.false(await told("1.50"));
  const old = await served.request("GET", "/v1.20/info");
  t.is(old.headers["content-type"], "text/plain; charset=utf-8");
  t.regex(old.text, /^client version 1\.20 is too old\./);
});
