import test, { type ExecutionContext } from "ava";
import { ContainerError } from "../../../sentry/container/errors.ts";
import { PLAIN_ENDPOINT } from "../../../sentry/container/network/network-record.ts";
import { NetworkStore } from "../../../sentry/container/network/network-store.ts";
import { newNetworking } from "../../../sentry/container/network/new-networking.ts";
import { temporaryDirectories } from "./sample.ts";

const storeOf = (t: ExecutionContext) => new NetworkStore(temporaryDirectories(t));

function codeOf(act: () => unknown): string {
  try {
    act();
    return "none";
  } catch (error) {
    if (error instanceof ContainerError) return error.code;
    throw error;
  }
}

test("bridge, host and none are there from the beginning, and stay", (t) => {
  const directories = temporaryDirectories(t);
  const store = new NetworkStore(directories);
  t.deepEqual(
    store
      .list()
      .map(({ name }) => name)
      .sort(),
    ["bridge", "host", "none"],
  );
  const { id } = store.find("bridge");
  t.is(new NetworkStore(directories).find("bridge").id, id);
  t.is(
    codeOf(() => store.remove(store.find("host"))),
    "PREDEFINED_NETWORK",
  );
  t.is(
    codeOf(() => store.create("bridge", {})),
    "PREDEFINED_NETWORK",
  );
});

test("a network has a name and a subnet that no other has", (t) => {
  const store = storeOf(t);
  const first = store.create("first", {});
  const second = store.create("second", { enableIPv6: true });
  const subnets = store.list().flatMap(({ ipam }) => ipam.pools.map(({ subnet }) => subnet));
  t.is(new Set(subnets).size, subnets.length);
  t.is(second.ipam.pools.length, 2);
  t.is(
    codeOf(() => store.create("first", {})),
    "NETWORK_EXISTS",
  );
  const [{ subnet = "" } = {}] = first.ipam.pools;
  t.is(
    codeOf(() => store.create("third", { pools: [{ subnet }] })),
    "POOL_OVERLAPS",
  );
  t.is(store.find(first.id.slice(0, 12)).name, "first");
  store.remove(first);
  t.is(
    codeOf(() => store.find("first")),
    "NO_SUCH_NETWORK",
  );
});

for (const pool of [
  { subnet: "10.9.0.0" },
  { subnet: "10.9.0.1/24" },
  { gateway: "10.9.0.1" },
  { subnet: "10.9.0.0/24", gateway: "10.8.0.1" },
  { subnet: "10.9.0.0/24", range: "10.9.0.0/16" },
  { subnet: "10.9.0.0/24", reserved: { x: "1.2.3.4" } },
]) {
  test(`no network is made of ${JSON.stringify(pool)}`, (t) => {
    t.is(
      codeOf(() => storeOf(t).create("net", { pools: [pool] })),
      "INVALID_NETWORK",
    );
  });
}

test("a network has any name but a blank one, as with docker", (t) => {
  const store = storeOf(t);
  for (const name of ["-dash_first", ".dot", "two words"]) t.is(store.create(name, {}).name, name);
  for (const name of ["", " ", "line\nfeed"]) {
    t.is(
      codeOf(() => store.create(name, {})),
      "INVALID_NETWORK",
    );
  }
});

test("what is asked of a container's network is checked against the networks there are", (t) => {
  const store = storeOf(t);
  const chosen = store.create("chosen", { pools: [{ subnet: "10.9.0.0/24" }] });
  store.create("given", {});
  const make = (networkMode: string, settings: object, egress?: string) =>
    newNetworking(
      {
        ...{ networkMode, endpoints: { default: { ...PLAIN_ENDPOINT, ...settings } }, publish: [] },
        ...{ publishAny: [], extraHosts: [], dns: [], dnsSearch: [], dnsOptions: [], egress },
        labels: { "dd.egress": "deny" },
      },
      {
        mode: "trusted",
        findNetwork: (reference) => store.list().find(({ name }) => name === reference),
        findContainer: () => {
          throw new ContainerError("NO_SUCH_CONTAINER", "none");
        },
      },
    );
  const { spec, wanted } = make("chosen", { ipv4: "10.9.0.7", aliases: ["a"] });
  t.like(spec, { mode: "bridge", name: "chosen", egress: "closed" });
  t.like(wanted, [{ network: chosen.id, settings: { ipv4: "10.9.0.7" } }]);
  t.is(make("chosen", {}, "allow").spec.egress, "open");
  t.is(
    codeOf(() => make("chosen", { ipv4: "10.8.0.7" })),
    "INVALID_ENDPOINT",
  );
  t.is(
    codeOf(() => make("given", { ipv4: "10.9.0.7" })),
    "INVALID_ENDPOINT",
  );
  t.is(
    codeOf(() => make("default", { aliases: ["a"] })),
    "INVALID_ENDPOINT",
  );
  t.is(
    codeOf(() => make("chosen", {}, "not a rule")),
    "INVALID_EGRESS",
  );
  t.is(
    codeOf(() => make("container:x", {})),
    "NO_SUCH_CONTAINER",
  );
});
