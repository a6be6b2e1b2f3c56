/** The listener that every user and every page of this machine can reach lets in only who has the token. */
import { readFileSync, statSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import test from "ava";
import { type Served, serve } from "./served.ts";

let served: Served;
let port = 0;
let token = "";

test.before(async () => {
  served = await serve(0);
  const [, address = ""] = served.told;
  port = Number(/^listening on tcp:\/\/127\.0\.0\.1:(\d+)$/.exec(address)?.[1]);
  token = readFileSync(join(served.runDirectory, "daemon.token"), "utf8").trim();
});
test.after.always(() => served?.close());

function status(headers: Readonly<Record<string, string>>): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: "127.0.0.1", path: "/_ping", agent: false, headers });
    sent.on("response", (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on("error", reject);
    sent.end();
  });
}

const good = () => ({ Authorization: `Bearer ${token}` });
const ROWS: readonly (readonly [string, () => Record<string, string>, number])[] = [
  ["the token", good, 200],
  ["nothing", () => ({}), 401],
  ["another token", () => ({ Authorization: `Bearer ${"0".repeat(64)}` }), 401],
  ["a page's origin", () => ({ ...good(), Origin: "http://127.0.0.1" }), 403],
  ["a request across sites", () => ({ ...good(), "Sec-Fetch-Site": "cross-site" }), 403],
  ["a name that only leads here", () => ({ ...good(), Host: "rebound.example" }), 403],
];
for (const [name, headers, expected] of ROWS) {
  test(`${name} is ${expected}`, async (t) => {
    t.is(await status(headers()), expected);
  });
}

test("an upgrade needs the token, too", async (t) => {
  const upgrade = { Connection: "Upgrade", Upgrade: "tcp" };
  t.is(await status(upgrade), 401);
  t.is(await status({ ...good(), ...upgrade }), 404);
});

test("the token is its owner's alone", (t) => {
  t.is(statSync(join(served.runDirectory, "daemon.token")).mode & 0o777, 0o600);
});
