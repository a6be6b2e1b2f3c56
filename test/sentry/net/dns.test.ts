import test from "ava";
import fc from "fast-check";
import { formatIp, parseIp } from "../../../sentry/abi/ip.ts";
import {
  addressAnswers,
  addressesIn,
  addressOfReverseName,
  encodeResponse,
  parseQuery,
  type Question,
  RCODE,
  TYPE_A,
  TYPE_AAAA,
} from "../../../sentry/net/dns-message.ts";

function query(name: string, type: number): Uint8Array {
  const labels = name.split(".").map((label) => [label.length, ...Buffer.from(label)]);
  return Uint8Array.from([
    ...[0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0],
    ...labels.flat(),
    ...[0, 0, type, 0, 1],
  ]);
}

function asked(name: string, type: number): Question {
  const question = parseQuery(query(name, type));
  if (typeof question !== "object") throw new Error(`Refused: ${question}`);
  return question;
}

test("a query is read, and its answer carries its addresses", (t) => {
  const question = asked("Web.Example", TYPE_A);
  t.like(question, { id: 0x1234, name: "web.example", type: TYPE_A, class: 1 });
  const ips = ["10.0.0.1", "10.0.0.2", "fd00::1"].map((text) => parseIp(text) ?? "");
  const response = encodeResponse(question, RCODE.ok, addressAnswers(ips, TYPE_A), 600);
  t.deepEqual(
    addressesIn(response).map(({ ip, ttlSeconds }) => [formatIp(ip), ttlSeconds]),
    [
      ["10.0.0.1", 600],
      ["10.0.0.2", 600],
    ],
  );
  const v6 = encodeResponse(question, RCODE.ok, addressAnswers(ips, TYPE_AAAA), 1);
  t.deepEqual(
    addressesIn(v6).map(({ ip }) => formatIp(ip)),
    ["fd00::1"],
  );
});

test("reverse names are addresses", (t) => {
  const of = (name: string) => {
    const ip = addressOfReverseName(name);
    return ip === undefined ? undefined : formatIp(ip);
  };
  t.is(of("2.0.18.172.in-addr.arpa"), "172.18.0.2");
  const nibbles = [...`1${"0".repeat(28)}0df`].join(".");
  t.is(of(`${nibbles}.ip6.arpa`), "fd00::1");
  t.is(of("256.0.18.172.in-addr.arpa"), undefined);
  t.is(of("example.org"), undefined);
});

test("whatever bytes come, reading ends and answers stay small", (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      const question = parseQuery(bytes);
      const found = addressesIn(bytes);
      const small = typeof question !== "object" || question.name.length <= 255;
      return small && found.length <= 256;
    }),
  );
  // A name that points at itself.
  const looping = query("a", TYPE_A);
  looping.set([0xc0, 12], 12);
  t.is(parseQuery(looping), RCODE.malformed);
});
