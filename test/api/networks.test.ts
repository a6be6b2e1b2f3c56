import test from "ava";
import { type Response, type Served, serve } from "./served.ts";

let served: Served;
test.before(async () => {
  served = await serve();
});
test.after.always(() => served.close());

const ask = (method: string, path: string, body?: unknown): Promise<Response> =>
  served.request(method, `/v1.51${path}`, body === undefined ? {} : { body });
const filters = (value: object) => `filters=${encodeURIComponent(JSON.stringify(value))}`;

interface Network {
  readonly Name: string;
  readonly Id: string;
  readonly Containers: Record<string, unknown>;
  readonly [key: string]: unknown;
}

async function names(query = ""): Promise<string[]> {
  const { text } = await ask("GET", `/networks${query}`);
  return (JSON.parse(text) as Network[]).map(({ Name }) => Name).sort();
}

test.serial("networks are made, shown, filtered and removed as docker does", async (t) => {
  t.deepEqual(await names(), ["bridge", "host", "none"]);
  const made = await ask("POST", "/networks/create", {
    Name: "app",
    CheckDuplicate: true,
    Internal: true,
    EnableIPv6: true,
    Labels: { tier: "back" },
    Options: { "com.docker.network.bridge.name": "x" },
    IPAM: {
      Driver: "default",
      Config: [{ Subnet: "10.91.0.0/16", Gateway: "10.91.0.1", IPRange: "10.91.4.0/24" }],
    },
  });
  t.is(made.status, 201);
  const { Id } = made.json() as { Id: string };
  t.regex(Id, /^[0-9a-f]{64}$/);
  const shown = (await ask("GET", "/networks/app")).json() as unknown as Network;
  t.like(shown, {
    ...{ Name: "app", Id, Driver: "bridge", Scope: "local", Internal: true, EnableIPv6: true },
    ...{ Attachable: false, Ingress: false, Containers: {}, Labels: { tier: "back" } },
    IPAM: { Driver: "default" },
  });
  t.is((await ask("GET", `/networks/${Id.slice(0, 12)}`)).status, 200);
  t.deepEqual(await names(`?${filters({ name: ["ap"] })}`), ["app"]);
  t.deepEqual(await names(`?${filters({ label: { "tier=back": true } })}`), ["app"]);
  t.deepEqual(await names(`?${filters({ type: ["custom"] })}`), ["app"]);
  t.deepEqual(await names(`?${filters({ driver: ["host"] })}`), ["host"]);
  t.deepEqual(await names(`?${filters({ dangling: ["true"] })}`), ["app"]);
  t.is((await ask("GET", `/networks?${filters({ nonsense: ["1"] })}`)).status, 400);

  const refusals = [
    ["POST", "/networks/create", { Name: "app" }, 409, "network with name app already exists"],
    [
      "POST",
      "/networks/create",
      { Name: "host" },
      403,
      "operation is not permitted on predefined host network",
    ],
    ["POST", "/networks/create", { Name: "" }, 400, "network name cannot be empty"],
    [
      "POST",
      "/networks/create",
      { Name: "x", Driver: "nope" },
      404,
      "could not find plugin nope in v1 plugin registry: plugin not found",
    ],
    [
      "POST",
      "/networks/create",
      { Name: "x", IPAM: { Config: [{ Subnet: "10.91.7.0/24" }] } },
      403,
      "invalid pool request: Pool overlaps with other one on this address space",
    ],
    [
      "DELETE",
      "/networks/bridge",
      undefined,
      403,
      "bridge is a pre-defined network and cannot be removed",
    ],
    ["DELETE", "/networks/nope", undefined, 404, "network nope not found"],
    ["POST", "/networks/nope/connect", { Container: "c" }, 404, "network nope not found"],
    ["POST", "/networks/app/connect", { Container: "c" }, 404, "No such container: c"],
  ] as const;
  for (const [method, path, body, status, message] of refusals) {
    const answer = await ask(method, path, body);
    t.is(answer.status, status, `${method} ${path} ${answer.text}`);
    t.is(answer.json()["message"], message);
  }
  t.is((await ask("DELETE", "/networks/app")).status, 204);
  t.deepEqual(await names(), ["bridge", "host", "none"]);
});

test.serial("a created container can be taken into networks and out of them", async (t) => {
  for (const Name of ["one", "two"]) await ask("POST", "/networks/create", { Name });
  const made = await ask("POST", "/containers/create?name=joiner", {
    Image: "host",
    Cmd: ["true"],
    ExposedPorts: { "80/tcp": {} },
    HostConfig: { NetworkMode: "one", PortBindings: { "80/tcp": [{ HostPort: "" }] } },
    NetworkingConfig: { EndpointsConfig: { one: { Aliases: ["first"] } } },
  });
  t.is(made.status, 201, made.text);
  const networks = async () => {
    const shown = (await ask("GET", "/containers/joiner/json")).json() as {
      NetworkSettings: {
        Networks: Record<string, { Aliases: string[] | null; NetworkID: string }>;
      };
      HostConfig: { NetworkMode: string };
    };
    t.is(shown.HostConfig.NetworkMode, "one");
    return shown.NetworkSettings.Networks;
  };
  t.like(await networks(), { one: { Aliases: ["first"] } });
  const join = { Container: "joiner", EndpointConfig: { Aliases: ["second"] } };
  t.is((await ask("POST", "/networks/two/connect", join)).status, 200);
  t.like(await networks(), { one: { Aliases: ["first"] }, two: { Aliases: ["second"] } });
  const again = await ask("POST", "/networks/two/connect", join);
  t.is(again.status, 403);
  t.is(again.json()["message"], "endpoint with name joiner already exists in network two");

  // A network that a container wants is not pruned, running or not.
  await ask("POST", "/networks/one/disconnect", { Container: "joiner", Force: false });
  t.deepEqual(Object.keys(await networks()), ["two"]);
  const pruned = await ask("POST", "/networks/prune");
  t.deepEqual(pruned.json(), { NetworksDeleted: ["one"] });
  t.is((await ask("POST", "/networks/one/disconnect", { Container: "joiner" })).status, 404);
  await ask("DELETE", "/containers/joiner");
  await ask("DELETE", "/networks/two");
});

test.serial("volumes are made, shown, kept while in use, and pruned as docker does", async (t) => {
  const body = { Name: "data", Labels: { a: "1" } };
  const made = await ask("POST", "/volumes/create", body);
  t.is(made.status, 201);
  t.like(made.json(), { Name: "data", Driver: "local", Scope: "local", Labels: { a: "1" } });
  t.is((await ask("POST", "/volumes/create", body)).status, 201, "it is there already");
  const unnamed = (await ask("POST", "/volumes/create", {})).json() as { Name: string };
  t.regex(unnamed.Name, /^[0-9a-f]{64}$/);
  const list = async (query = "") => {
    const answer = (await ask("GET", `/volumes${query}`)).json() as { Volumes: { Name: string }[] };
    return answer.Volumes.map(({ Name }) => Name).sort();
  };
  t.deepEqual(await list(`?${filters({ label: ["a=1"] })}`), ["data"]);
  t.deepEqual(await list(`?${filters({ name: ["dat"] })}`), ["data"]);

  const container = await ask("POST", "/containers/create?name=user", {
    Image: "host",
    Cmd: ["true"],
    HostConfig: { Binds: ["data:/data"] },
  });
  const { Id } = container.json() as { Id: string };
  const used = await ask("DELETE", "/volumes/data");
  t.is(used.status, 409);
  t.is(used.json()["message"], `remove data: volume is in use - [${Id}]`);
  t.deepEqual(await list(`?${filters({ dangling: ["true"] })}`), [unnamed.Name]);
  t.like((await ask("POST", "/volumes/prune")).json(), { VolumesDeleted: [unnamed.Name] });
  await ask("DELETE", "/containers/user");
  t.deepEqual((await ask("POST", "/volumes/prune")).json()["VolumesDeleted"], []);
  const all = await ask("POST", `/volumes/prune?${filters({ all: ["true"] })}`);
  t.deepEqual(all.json()["VolumesDeleted"], ["data"]);

  const missing = await ask("GET", "/volumes/data");
  t.is(missing.status, 404);
  t.is(missing.json()["message"], "get data: no such volume");
  t.is((await ask("DELETE", "/volumes/data?force=true")).status, 204);
  t.is((await ask("DELETE", "/volumes/data")).status, 404);
  t.is((await ask("POST", "/volumes/create", { Name: "a/b" })).status, 400);
  t.is((await ask("POST", "/volumes/create", { Name: "xx", Driver: "nfs" })).status, 404);
  t.deepEqual(served.reasons, [], "nothing was a fault of ours");
});
