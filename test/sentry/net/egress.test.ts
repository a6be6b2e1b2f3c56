import test from "ava";
import { parseEgress, parseEgressRule } from "../../../sentry/abi/egress-rule.ts";
import { parseIp } from "../../../sentry/abi/ip.ts";
import { EgressPolicy } from "../../../sentry/net/egress.ts";
import type { EgressAttempt } from "../../../sentry/spec.ts";

const to = (ip: string, port: number) => ({ ip: parseIp(ip) ?? "", port });

/** Rules, a destination with the name it was looked up by, and whether it may be reached. */
const ROWS = [
  ["10.0.0.0/8", "10.200.3.4", 5432, "", true],
  ["10.0.0.0/8:443", "10.200.3.4", 5432, "", false],
  ["10.1.2.3:80-90", "10.1.2.3", 85, "", true],
  ["10.1.2.3:80-90", "10.1.2.4", 85, "", false],
  ["[fd00::1]:53", "fd00::1", 53, "", true],
  ["fd00::/8", "fd12::9", 1, "", true],
  ["*:443", "192.0.2.7", 443, "", true],
  ["*:443", "192.0.2.7", 80, "", false],
  ["example.org:443", "192.0.2.7", 443, "example.org", true],
  ["example.org:443", "192.0.2.7", 443, "EXAMPLE.org", true],
  ["example.org:443", "192.0.2.7", 443, "www.example.org", false],
  ["*.example.org", "192.0.2.7", 8080, "a.b.example.org", true],
  ["*.example.org", "192.0.2.7", 443, "example.org", false],
  ["*.example.org", "192.0.2.7", 443, "badexample.org", false],
  ["example.org", "192.0.2.7", 443, "", false],
] as const;

for (const [rule, ip, port, name, allowed] of ROWS) {
  const looked = name === "" ? "" : ` looked up as ${name}`;
  test(`${rule} ${allowed ? "allows" : "refuses"} ${ip} port ${port}${looked}`, (t) => {
    const attempts: EgressAttempt[] = [];
    const policy = new EgressPolicy([rule], (attempt) => attempts.push(attempt));
    if (name !== "") policy.pin(name, parseIp(ip) ?? "", 60);
    t.is(policy.mayReach(to(ip, port), "tcp"), allowed);
    t.like(attempts, [{ host: ip, port, allowed, rule: allowed ? rule : "closed" }]);
  });
}

for (const text of [
  "",
  "a b",
  "10.0.0.0/99",
  "host:0",
  "host:70000",
  "host:9-1",
  "*.",
  "1.2.3",
  "http://x",
]) {
  test(`"${text}" is no egress rule`, (t) => {
    t.is(parseEgressRule(text), undefined);
  });
}

test("a policy is allow, deny, or rules; names are looked up only if a rule is about them", (t) => {
  t.deepEqual(parseEgress("allow"), { egress: "open" });
  t.deepEqual(parseEgress("deny"), { egress: "closed" });
  t.deepEqual(parseEgress(" a.org:443, 10.0.0.0/8 "), { egress: ["a.org:443", "10.0.0.0/8"] });
  t.deepEqual(parseEgress("a.org,b c"), { bad: "b c" });
  const names = (policy: EgressPolicy) =>
    ["a.org", "x.b.org", "c.org"].map((name) => policy.mayResolve(name));
  t.deepEqual(names(new EgressPolicy("open")), [true, true, true]);
  t.deepEqual(names(new EgressPolicy("closed")), [false, false, false]);
  t.deepEqual(names(new EgressPolicy(["a.org:1", "*.b.org"])), [true, true, false]);
});

test("what was tried again and again is recorded once for datagrams, each time for connections", (t) => {
  const attempts: EgressAttempt[] = [];
  const policy = new EgressPolicy("closed", (attempt) => attempts.push(attempt));
  for (let i = 0; i < 3; i++) {
    policy.mayReach(to("192.0.2.1", 53), "udp");
    policy.mayReach(to("192.0.2.1", 53), "tcp");
  }
  t.deepEqual(attempts.map(({ protocol }) => protocol).sort(), ["tcp", "tcp", "tcp", "udp"]);
});
