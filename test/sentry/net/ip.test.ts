import test from "ava";
import { formatIp, parseIp, Subnet } from "../../../sentry/abi/ip.ts";

for (const text of ["0.0.0.0", "172.17.0.2", "::", "::1", "fd00::2", "2001:db8::1:0:0:1", "1::"]) {
  test(`an address is read and written as ${text}`, (t) => {
    t.is(formatIp(parseIp(text) ?? ""), text);
  });
}

for (const [text, shown] of [
  ["2001:0DB8:0:0:0:0:0:1", "2001:db8::1"],
  ["::ffff:10.0.0.1", "10.0.0.1"],
  ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
] as const) {
  test(`${text} is written as ${shown}`, (t) => {
    t.is(formatIp(parseIp(text) ?? ""), shown);
  });
}

for (const text of [
  "",
  "1.2.3",
  "1.2.3.256",
  "01.2.3.4",
  "1:2",
  ":::",
  "1::2::3",
  "g::",
  "1:2:3:4:5:6:7:8:9",
]) {
  test(`"${text}" is no address`, (t) => {
    t.is(parseIp(text), undefined);
  });
}

test("a subnet knows its addresses, its edges and its neighbours", (t) => {
  const subnet = Subnet.parse("10.5.6.7/22");
  if (subnet === undefined) return t.fail();
  t.is(subnet.toString(), "10.5.4.0/22");
  t.is(formatIp(subnet.last), "10.5.7.255");
  t.is(formatIp(subnet.at(1n)), "10.5.4.1");
  t.is(subnet.size, 1024n);
  const has = (ip: string) => subnet.contains(parseIp(ip) ?? "");
  t.deepEqual(["10.5.4.0", "10.5.7.255", "10.5.8.0", "::1"].map(has), [true, true, false, false]);
  const overlaps = (text: string) => Subnet.parse(text)?.overlaps(subnet);
  t.deepEqual(["10.0.0.0/8", "10.5.5.0/24", "10.5.8.0/24", "::/0"].map(overlaps), [
    true,
    true,
    false,
    false,
  ]);
  t.is(Subnet.parse("10.0.0.0/33"), undefined);
  t.is(Subnet.parse("10.0.0.0"), undefined);
  t.is(formatIp(Subnet.parse("fd00:1::/64")?.last ?? ""), "fd00:1::ffff:ffff:ffff:ffff");
});
