import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import test from "ava";
import { DDCLI, MODES, modeOption, openDd } from "../fixtures/dd.ts";
import { TREE } from "../fixtures/images.ts";
import { runProgram } from "../fixtures/program.ts";
import { until } from "../fixtures/until.ts";

const PEER = join(TREE, "test/fixtures/net-peer.py");
const dd = openDd();
/** The host's own addresses: it may have been started without IPv6. */
const LOOPBACKS = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .filter(({ internal, address }) => internal && ["127.0.0.1", "::1"].includes(address))
  .map(({ address }) => address);
test.afterEach.always(async (t) => {
  if (!t.passed) await dd.clear();
});
test.after.always(() => dd.close());

async function ddcli(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await dd.run(args);
  if (code !== 0) throw new Error(`ddcli ${args.join(" ")} ended with ${code}: ${stderr}`);
  return stdout.trim();
}

/** Runs a peer to its end. @returns what it says. */
function peer(options: readonly string[], ...words: string[]): Promise<string> {
  return ddcli("run", "--rm", ...mounted(options), "python3", "/peer.py", ...words);
}

const mounted = (options: readonly string[]) => [...options, "-v", `${PEER}:/peer.py:ro`, "host"];

/** A peer in the background, ready. */
async function server(name: string, options: readonly string[], ...words: string[]) {
  const all = mounted(["--name", name, ...options]);
  await ddcli("run", "-d", ...all, "python3", "/peer.py", ...words);
  if (!(await until(async () => (await ddcli("logs", name)).includes("ready")))) {
    throw new Error(`${name} did not become ready`);
  }
}

async function addressOf(network: string, name: string): Promise<string> {
  const [shown] = JSON.parse(await ddcli("network", "inspect", network)) as {
    Containers: Record<string, { Name: string; IPv4Address: string }>;
  }[];
  const found = Object.values(shown?.Containers ?? {}).find((each) => each.Name === name);
  return found?.IPv4Address.split("/")[0] ?? "";
}

for (const mode of MODES) {
  test.serial(`containers of one network reach each other by name, ${mode}`, async (t) => {
    const trust = modeOption(mode);
    const [net, web] = [`talk-${mode}`, `web-${mode}`];
    await ddcli(
      "network",
      "create",
      "--subnet",
      mode === "trusted" ? "10.81.0.0/24" : "10.82.0.0/24",
      net,
    );
    await server(web, [...trust, "--network", net, "--network-alias", "www"], "serve", "80");
    const own = [...trust, "--network", net];
    const ip = await addressOf(net, web);
    const there = ip.replace(/\d+$/, "3");

    const long = "x".repeat(60_000);
    const said = await peer(
      own,
      ...["ask", web, "80", "then", "ask", "www", "80", long, "then", "ask", web, "81", "then"],
      ...["ask", ip.replace(/\d+$/, "99"), "80", "then", "ping", web],
    );
    t.deepEqual(said.split("\n"), [
      `${there} ${ip} hello ${there} ${ip}`,
      `${there} ${ip} ${long} ${there} ${ip}`,
      "ECONNREFUSED",
      "EHOSTUNREACH",
      `${ip} 0 payload`,
    ]);
    t.is(await peer(trust, "ask", ip, "80"), "EHOSTUNREACH", "from another network");

    const seen = await ddcli(
      ...["run", "--rm", ...own, "--hostname", "me", "host", "sh", "-c"],
      `getent hosts ${web} www; getent hosts ${ip}; getent hosts host.docker.internal; hostname -i;
       getent hosts nobody-there || echo none; cat /etc/hostname /etc/resolv.conf`,
    );
    const lines = seen.split("\n").map((line) => line.replace(/\s+/g, " ").trim());
    t.deepEqual(lines.slice(0, 5), [
      `${ip} ${web}`,
      `${ip} www`,
      `${ip} ${web}.${net}`,
      `${ip.replace(/\d+$/, "1")} host.docker.internal`,
      there,
    ]);
    t.deepEqual(lines.slice(5, 7), ["none", "me"]);
    t.true(lines.includes("nameserver 127.0.0.11"));
    await ddcli("rm", "-f", web);

    await server(web, [...trust, "--network", net], "udp", "53");
    t.is(
      await peer(own, "udpask", web, "53"),
      `${there} hello ${ip}\n${there} hello\nECONNREFUSED`,
    );
    await ddcli("rm", "-f", web);
    await ddcli("network", "rm", net);
  });

  test.serial(`a published port leads to the container, ${mode}`, async (t) => {
    const name = `published-${mode}`;
    await server(name, [...modeOption(mode), "-p", "80", "-p", "127.0.0.1::81"], "serve", "80");
    const [v4 = ""] = (await ddcli("port", name, "80")).split("\n");
    const port = Number(v4.split(":").at(-1));
    for (const host of LOOPBACKS) {
      const client = connect({ host, port, allowHalfOpen: true });
      client.end("hi");
      let answer = "";
      for await (const bytes of client) answer += String(bytes);
      t.regex(answer, /^172\.17\.0\.1 172\.17\.0\.\d+ hi$/, host);
    }
    // Nobody listens there yet.
    const closed = Number((await ddcli("port", name, "81")).split(":").at(-1));
    const refused = connect({ host: "127.0.0.1", port: closed });
    const [error] = (await once(refused, "error")) as [NodeJS.ErrnoException];
    t.is(error.code, "ECONNRESET");

    const clash = await dd.run([
      "run",
      "--name",
      `clash-${mode}`,
      "-p",
      `${port}:80`,
      "host",
      "true",
    ]);
    t.is(clash.code, 125);
    t.regex(clash.stderr, new RegExp(`Bind for 0.0.0.0:${port} failed: port is already allocated`));
    await ddcli("rm", "-f", name, `clash-${mode}`);
  });

  test.serial(`an egress policy decides what is reached outside, ${mode}`, async (t) => {
    const outside = createServer((_request, response) => response.end("from outside"));
    outside.listen(0, "127.0.0.1");
    await once(outside, "listening");
    const { port } = outside.address() as AddressInfo;
    const url = `http://host.docker.internal:${port}/`;
    const fetch = (name: string, egress: string) =>
      dd.run([
        ...["run", "--name", name, ...modeOption(mode), "--egress", egress, "host"],
        ...["sh", "-c", `curl -sS ${url}; getent hosts other.example || echo unknown`],
      ]);
    const allowed = await fetch(`ok-${mode}`, `host.docker.internal:${port}`);
    t.is(allowed.stdout, "from outsideunknown\n");
    const denied = await fetch(`no-${mode}`, "*.example.org:443");
    t.is(denied.stdout, "unknown\n");
    t.regex(denied.stderr, /Couldn't connect|Failed to connect/);

    const log = await ddcli("egress", "--json", `no-${mode}`);
    const attempts = log.split("\n").map((line) => JSON.parse(line) as Record<string, string>);
    t.deepEqual(
      attempts.map(({ Verdict, Destination }) => [Verdict, Destination]),
      [
        ["denied", `172.17.0.1:${port}`],
        ["denied", "other.example:53"],
      ],
    );
    t.regex(
      await ddcli("egress", `ok-${mode}`),
      /allowed +tcp +172\.17\.0\.1:.*host\.docker\.internal/,
    );
    await ddcli("rm", `ok-${mode}`, `no-${mode}`);
    outside.close();
  });
}

test.serial(
  "containers of different networks do not reach each other, until they are connected",
  async (t) => {
    await ddcli("network", "create", "left");
    await ddcli("network", "create", "--internal", "right");
    await server("both", ["--network", "left"], "serve", "80");
    const first = await addressOf("left", "both");
    t.is(await peer(["--network", "right"], "ask", first, "80"), "ENETUNREACH");
    await ddcli("network", "connect", "--alias", "second", "right", "both");
    const second = await addressOf("right", "both");
    t.regex(await peer(["--network", "right"], "ask", "second", "80"), new RegExp(`${second}$`));
    const shown = await ddcli("exec", "both", "ip", "-o", "-4", "addr");
    t.regex(shown, new RegExp(`eth0 .*${first}/16[^]*eth1 .*${second}/16`));

    const holder = await hold("right", "second");
    await ddcli("network", "disconnect", "right", "both");
    t.is(await holder.end, "end", "connections end with the network");
    t.regex(
      await peer(["--network", "right"], "ask", "second", "80"),
      /Name or service not known|Temporary failure/,
    );
    t.regex(await peer(["--network", "left"], "ask", "both", "80"), /hello/);

    const refused = await dd.run(["network", "rm", "left"]);
    t.regex(refused.stderr, /network left has active endpoints \(name:"both"/);
    t.regex((await dd.run(["network", "rm", "bridge"])).stderr, /pre-defined network/);
    await ddcli("rm", "-f", "both");
    await ddcli("network", "rm", "left", "right");
  },
);

/** Connects a peer to port 80 of another. @returns how the connection ended, once it was made. */
async function hold(network: string, host: string): Promise<{ readonly end: Promise<string> }> {
  const child: ChildProcess = spawn(
    process.execPath,
    [
      DDCLI,
      "run",
      "--rm",
      ...mounted(["--network", network]),
      "python3",
      "/peer.py",
      "hold",
      host,
      "80",
    ],
    { env: dd.env, stdio: ["ignore", "pipe", "inherit"] },
  );
  let text = "";
  child.stdout?.on("data", (bytes) => {
    text += String(bytes);
  });
  await until(() => text.includes("connected"));
  return { end: once(child, "close").then(() => text.trim().split("\n").at(-1) ?? "") };
}

test.serial("a killed sentry's connections end, and its place is free", async (t) => {
  await ddcli("network", "create", "--subnet", "10.83.0.0/24", "fragile");
  await server("victim", ["--network", "fragile"], "serve", "80");
  t.is(await addressOf("fragile", "victim"), "10.83.0.2");
  const shown = JSON.parse(await ddcli("inspect", "victim")) as { State: { Pid: number } }[];
  const pid = shown[0]?.State.Pid ?? 0;
  t.true(pid > 1);
  process.kill(pid, "SIGKILL");
  t.true(await until(async () => !(await ddcli("ps", "-q", "-f", "name=victim"))));
  const own = ["--network", "fragile"];
  t.is(await peer(own, "ask", "10.83.0.2", "80"), "ECONNREFUSED", "it is the asker's own by now");
  t.regex(await peer(own, "ask", "victim", "80"), /Name or service not known|Temporary failure/);
  await ddcli("rm", "-f", "victim");
  await ddcli("network", "rm", "fragile");
});

test.serial("who is not the sentry of an address cannot speak for it", async (t) => {
  await ddcli("network", "create", "--subnet", "10.84.0.0/24", "guarded");
  await server("target", ["--network", "guarded"], "serve", "80");
  await server("other", ["--network", "guarded"], "serve", "80");
  const directory = join(dd.runDirectory, "n");
  const [network = ""] = readdirSync(directory);
  const path = join(directory, network, "10.84.0.2");
  for (const source of ["10.84.0.3", "10.84.0.77", "127.0.0.1"]) {
    const { stdout } = await runProgram([
      "python3",
      PEER,
      "claim",
      path,
      source,
      "10.84.0.2",
      "80",
    ]);
    t.is(stdout.trim(), "cut off", source);
  }
  t.is(await ddcli("logs", "target"), "ready");
  t.regex(await peer(["--network", "guarded"], "ask", "target", "80"), /hello/);
  await ddcli("rm", "-f", "target", "other");
  await ddcli("network", "rm", "guarded");
});

test.serial("datagrams of the host reach a published port, and are answered from it", async (t) => {
  await server("datagrams", ["-p", "127.0.0.1::53/udp"], "udp", "53");
  const port = Number((await ddcli("port", "datagrams", "53/udp")).split(":").at(-1));
  const client = createSocket("udp4");
  const answered = once(client, "message");
  client.send("hi", port, "127.0.0.1");
  const [answer, from] = (await answered) as [Buffer, AddressInfo];
  client.close();
  t.is(answer.toString(), "172.17.0.1 hi");
  t.is(from.port, port);
  await ddcli("rm", "-f", "datagrams");
});

test.serial(
  "a container can have the network of another: loopback, ports and addresses",
  async (t) => {
    await ddcli("network", "create", "--subnet", "10.85.0.0/24", "common");
    await server("hub", ["--network", "common"], "serve", "80");
    const share = ["--network", "container:hub"];
    await server("member", share, "serve", "81");
    await server("outsider", ["--network", "common"], "serve", "80");
    t.is(
      await peer(share, "ask", "127.0.0.1", "80"),
      "127.0.0.1 127.0.0.1 hello 127.0.0.1 127.0.0.1",
    );
    t.is(
      await peer(share, "ask", "127.0.0.1", "81"),
      "127.0.0.1 127.0.0.1 hello 127.0.0.1 127.0.0.1",
    );
    const asked = await ddcli("exec", "hub", "python3", "/peer.py", "ask", "localhost", "81");
    t.regex(asked, /hello/, "the other way round");
    t.regex(await peer(["--network", "common"], "ask", "hub", "81"), /hello .*10\.85\.0\.2$/);
    const clash = await dd.run([
      "run",
      "--rm",
      ...mounted(share),
      "python3",
      "/peer.py",
      "serve",
      "80",
    ]);
    t.regex(clash.stderr, /Address already in use/);
    const names = "hostname; cat /etc/hostname; hostname -i";
    const shown = await ddcli("run", "--rm", ...share, "host", "sh", "-c", names);
    const own = await ddcli("exec", "hub", "hostname");
    t.is(shown, `${own}\n${own}\n10.85.0.2`);
    await ddcli("rm", "-f", "member", "hub", "outsider");
    await ddcli("network", "rm", "common");
  },
);
