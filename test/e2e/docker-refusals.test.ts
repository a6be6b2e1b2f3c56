/** What docker says of containers that cannot be made or started, and of links, in words that clients match. */
import { request } from "node:http";
import test from "ava";
import { openEngine, type TestEngine } from "../fixtures/engine.ts";
import { image } from "../fixtures/images.ts";

const IMAGE = "busybox:test";
let engine: TestEngine;

test.before(async (t) => {
  t.timeout(300_000);
  engine = await openEngine();
  await engine.dd.load(image("busybox"));
});
test.after.always(() => engine?.close());

const RUNC =
  "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create " +
  "failed: unable to start container process: error during container init: ";

/** Containers that are made and then do not start: how `docker run` exits, what inspect shows. */
const STARTS = [
  {
    what: "a program that is nowhere",
    words: [IMAGE, "nosuch"],
    code: 127,
    shown: `127 ${RUNC}exec: "nosuch": executable file not found in $PATH: unknown`,
  },
  {
    what: "a path that is not there",
    words: [IMAGE, "/no/such"],
    code: 127,
    shown: `127 ${RUNC}exec: "/no/such": stat /no/such: no such file or directory: unknown`,
  },
  {
    what: "a file that is no program",
    words: [IMAGE, "/etc/passwd"],
    code: 126,
    shown: `126 ${RUNC}exec: "/etc/passwd": permission denied: unknown`,
  },
  {
    what: "a directory",
    words: [IMAGE, "/etc"],
    code: 126,
    shown: `126 ${RUNC}exec: "/etc": is a directory: unknown`,
  },
  {
    what: "a path through a file",
    words: [IMAGE, "/etc/passwd/x"],
    code: 125,
    shown: `126 ${RUNC}exec: "/etc/passwd/x": stat /etc/passwd/x: not a directory: unknown`,
  },
  {
    what: "a working directory that is a file",
    words: ["-w", "/etc/passwd", IMAGE, "true"],
    code: 125,
    shown: "128 Cannot mkdir: /etc/passwd is not a directory",
  },
  {
    what: "an unknown user",
    words: ["-u", "nosuch", IMAGE, "true"],
    code: 125,
    shown: "128 unable to find user nosuch: no matching entries in passwd file",
  },
  {
    what: "the network of a container that is not there",
    words: ["--network", "container:nosuch", IMAGE, "true"],
    code: 125,
    shown: "128 joining network namespace of container: No such container: nosuch",
  },
] as const;

for (const [i, { what, words, code, shown }] of STARTS.entries()) {
  test(`a container does not start: ${what}`, async (t) => {
    t.timeout(300_000);
    const name = `start-${i}`;
    const ran = await engine.docker(["run", "--name", name, ...words]);
    const { stdout } = await engine.docker([
      "inspect",
      "-f",
      "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}",
      name,
    ]);
    t.is(stdout, `created ${shown}\n`);
    t.is(ran.code, code);
    t.true(ran.stderr.includes(shown.slice(4)), ran.stderr);
    const again = await engine.docker(["start", name]);
    t.is(again.code, 1);
    t.true(again.stderr.includes(shown.slice(4)), again.stderr);
  });
}

const UNDEFINED = "can't be used with links. This would result in undefined behavior";
/** Options that do not go together. */
const CONFLICTS: readonly (readonly [options: readonly string[], why: string])[] = [
  [["--uts", "host", "-h", "name"], "hostname and the UTS mode"],
  [["--network", "host", "--link", "x1:y"], `host type networking ${UNDEFINED}`],
  [["--network", "container:x1", "-h", "name"], "hostname and the network mode"],
  [["--network", "container:x1", "--link", "x1:y"], `container type network ${UNDEFINED}`],
  [["--network", "container:x1", "--dns", "10.0.0.1"], "dns and the network mode"],
  [
    ["--network", "container:x1", "--add-host", "a:10.0.0.1"],
    "custom host-to-IP mapping and the network mode",
  ],
  [
    ["--network", "container:x1", "-p", "80"],
    "port publishing and the container type network mode",
  ],
  [
    ["--network", "container:x1", "--expose", "80"],
    "port exposing and the container type network mode",
  ],
];

test("an exec tells of a directory, and of a program that is nowhere, as runc does", async (t) => {
  t.timeout(300_000);
  await engine.docker(["run", "-d", "--init", "--name", "execs", IMAGE, "sleep", "1000"]);
  for (const [program, code, why] of [
    ["/etc", 126, "is a directory"],
    ["nosuch", 127, "executable file not found in $PATH"],
    ["/etc/passwd/x", 126, "stat /etc/passwd/x: not a directory"],
  ] as const) {
    const ran = await engine.docker(["exec", "execs", program]);
    t.is(ran.code, code, program);
    const words =
      "OCI runtime exec failed: exec failed: unable to start container process: " +
      `exec: "${program}": ${why}: unknown`;
    t.true(`${ran.stdout}${ran.stderr}`.includes(words), ran.stdout);
  }
});

test("a soft limit above the hard one keeps a container from starting", async (t) => {
  const Ulimits = [{ Name: "nofile", Soft: 20, Hard: 10 }];
  const body = { Image: IMAGE, Cmd: ["true"], HostConfig: { Ulimits } };
  t.is((await create("v1.50", "?name=limits", body)).status, 201);
  const { code, stderr } = await engine.docker(["start", "limits"]);
  t.is(code, 1);
  const why =
    "error setting rlimits for ready process: error setting rlimit type 7: invalid argument";
  t.true(stderr.includes(`unable to start container process: ${why}: unknown`), stderr);
});

test("a network of a swarm is not made outside of one", async (t) => {
  const { status, words } = await post("/v1.50/networks/create", { Name: "far", Scope: "swarm" });
  t.is(status, 503);
  t.regex(String(words), /^This node is not a swarm manager/);
});

test("a container is not told at its start what it is to be", async (t) => {
  t.is((await create("v1.50", "?name=plain", { Image: IMAGE, Cmd: ["true"] })).status, 201);
  const words =
    "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24";
  const Binds = ["/:/x"];
  t.deepEqual(await post("/v1.50/containers/plain/start", { Binds }), { status: 400, words });
  t.is((await post("/v1.50/containers/plain/start", {})).status, 204);
});

/** What docker without plugins does not have either. */
const ABSENT: readonly (readonly [options: readonly string[], words: string])[] = [
  [["--gpus", "all"], 'could not select device driver "" with capabilities: [[gpu]]'],
  [["--ipc", "nosuch"], "invalid IPC mode: nosuch"],
  [["--stop-signal", "NOSUCH"], "invalid signal: NOSUCH"],
  [
    ["--volume-driver", "nosuch", "-v", "named:/x"],
    'create named: error looking up volume plugin nosuch: plugin "nosuch" not found',
  ],
  [
    ["--mount", "type=volume,src=named,dst=/x,volume-driver=nosuch"],
    'create named: error looking up volume plugin nosuch: plugin "nosuch" not found',
  ],
];

test("drivers, modes and signals that are not there are refused", async (t) => {
  t.timeout(300_000);
  for (const [options, words] of ABSENT) {
    const { code, stderr } = await engine.docker(["create", ...options, IMAGE, "true"]);
    t.is(code, 1, words);
    t.true(stderr.includes(words), stderr);
  }
});

/** Bodies of requests that docker's own client would not send. */
const BODIES: readonly (readonly [path: string, body: object, status: number, words: string])[] = [
  ["", { Env: ["=x"] }, 400, "invalid environment variable: =x"],
  ["", { Env: [""] }, 400, "invalid environment variable: "],
  [
    "",
    { HostConfig: { Links: ["nosuch:x"] } },
    400,
    "could not get container for nosuch: No such container: nosuch",
  ],
  ["", { HostConfig: { VolumesFrom: ["nosuch"] } }, 400, "No such container: nosuch"],
  ["", { HostConfig: { PidMode: "nosuch" } }, 400, "invalid PID mode: nosuch"],
  [
    "",
    { HostConfig: { OomScoreAdj: 1001 } },
    400,
    "Invalid value 1001, range for oom score adj is [-1000, 1000]",
  ],
  [
    "",
    { HostConfig: { Annotations: { "": "x" } } },
    400,
    "invalid Annotations: the empty string is not permitted as an annotation key",
  ],
  ...[
    [{ Type: "nosuch", Target: "/x" }, "mount type unknown"],
    [{ Type: "bind", Target: "/x" }, "field Source must not be empty"],
    [{ Type: "tmpfs", Source: "/a", Target: "/x" }, "field Source must not be specified"],
    [
      { Type: "bind", Source: "/", Target: "/x", VolumeOptions: {} },
      "field VolumeOptions must not be specified",
    ],
    [
      { Type: "bind", Source: "/", Target: "x" },
      "invalid mount path: 'x' mount path must be absolute",
    ],
    [{ Type: "bind", Source: "/", Target: "/" }, "invalid specification: destination can't be '/'"],
    [
      { Type: "bind", Source: "/", Target: "/x", BindOptions: { Propagation: "odd" } },
      "invalid propagation mode: odd",
    ],
    [
      { Type: "volume", Target: "/x", ReadOnly: true },
      "must not set ReadOnly mode when using anonymous volumes",
    ],
    [
      { Type: "volume", Target: "/x", VolumeOptions: { Subpath: "a" } },
      "must not set Subpath when using anonymous volumes",
    ],
    [
      { Type: "image", Source: IMAGE, Target: "/x", ImageOptions: { Subpath: "../a" } },
      "subpath must be a relative path within the volume",
    ],
  ].map(([mount, why]) => {
    const { Type } = mount as { readonly Type: string };
    const words = `invalid mount config for type "${Type}": ${why}`;
    return ["", { HostConfig: { Mounts: [mount] } }, 400, words] as const;
  }),
  [
    "",
    { HostConfig: { Mounts: [{ Type: "image", Source: "nosuch", Target: "/x" }] } },
    404,
    "No such image: nosuch:latest",
  ],
  ...["nosuch", "label"].map(
    (option) =>
      [
        "",
        { HostConfig: { SecurityOpt: [option] } },
        400,
        `invalid --security-opt 1: "${option}"`,
      ] as const,
  ),
  ...["nosuch=x", "no-new-privileges=maybe"].map(
    (option) =>
      [
        "",
        { HostConfig: { SecurityOpt: [option] } },
        400,
        `invalid --security-opt 2: "${option}"`,
      ] as const,
  ),
  [
    "?platform=plan9%2Famd64",
    {},
    404,
    "image with reference busybox:test was found but does not provide the specified platform (plan9/amd64)",
  ],
];

test("bodies that make no sense are refused before a container is made", async (t) => {
  t.timeout(300_000);
  for (const [path, body, status, words] of BODIES) {
    t.deepEqual(await create("v1.50", path, { Image: IMAGE, ...body }), { status, words }, words);
  }
  const EndpointsConfig = { one: {}, two: {} };
  const body = { Image: IMAGE, NetworkingConfig: { EndpointsConfig } };
  const words = "Container cannot be created with multiple network endpoints";
  t.deepEqual(await create("v1.43", "", body), { status: 400, words });
  t.is((await create("v1.44", "", body)).status, 201);
});

/** Asks for a container. */
function create(
  version: string,
  query: string,
  body: object,
): Promise<{ readonly status: number | undefined; readonly words: unknown }> {
  return post(`/${version}/containers/create${query}`, body);
}

function post(
  path: string,
  body: object,
): Promise<{ readonly status: number | undefined; readonly words: unknown }> {
  const { socketPath } = engine;
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const asked = request({ socketPath, method: "POST", path, headers }, (reply) => {
      let text = "";
      reply.setEncoding("utf8");
      reply.on("data", (chunk: string) => {
        text += chunk;
      });
      reply.on("end", () => {
        const { message } = JSON.parse(text || "{}") as { readonly message?: unknown };
        resolve({ status: reply.statusCode, words: message });
      });
    });
    asked.on("error", reject);
    asked.end(JSON.stringify(body));
  });
}

test("options that conflict are refused before a container is made", async (t) => {
  t.timeout(300_000);
  for (const [options, why] of CONFLICTS) {
    const { code, stderr } = await engine.docker(["create", ...options, IMAGE, "true"]);
    t.is(code, 1, why);
    t.true(stderr.includes(`conflicting options: ${why}`), stderr);
  }
});

test("a container cannot be given the name it has", async (t) => {
  await engine.docker(["create", "--name", "same", IMAGE]);
  const { stderr } = await engine.docker(["rename", "same", "same"]);
  t.regex(stderr, /Renaming a container with the same name as its current name/);
});

test("the list shows a command as it was given, without its init", async (t) => {
  const command = ["sh", "-c", "echo a; exit", "x"];
  await engine.docker(["create", "--name", "listed", "--init", IMAGE, ...command]);
  const format = ["-a", "--no-trunc", "--filter", "name=listed", "--format", "{{.Command}}"];
  const { stdout } = await engine.docker(["ps", ...format]);
  t.is(stdout, "\"sh -c 'echo a; exit' x\"\n");
});

test("a container shares the network of another only while that runs, and never its own", async (t) => {
  t.timeout(300_000);
  await engine.docker(["create", "--name", "donor", IMAGE, "true"]);
  const refused = await engine.docker(["run", "--rm", "--network", "container:donor", IMAGE]);
  const non =
    "cannot join network namespace of a non running container: container donor is created";
  t.true(refused.stderr.includes(non), refused.stderr);
  await engine.docker(["create", "--name", "self", "--network", "container:self", IMAGE]);
  const { stderr } = await engine.docker(["start", "self"]);
  t.true(stderr.includes("cannot join own network namespace"), stderr);
});

test("a linked container's ports and variables are told to the one that is linked to it", async (t) => {
  t.timeout(300_000);
  const options = ["--name", "data-base", "-e", "WORD=of mouth", "--expose", "80", "--expose", "9"];
  await engine.docker(["run", "-d", "--init", ...options, IMAGE, "sleep", "1000"]);
  const { stdout } = await engine.docker([
    "inspect",
    "-f",
    "{{.NetworkSettings.IPAddress}}",
    "data-base",
  ]);
  const address = stdout.trim();
  const link = ["--link", "data-base:d-b", "-e", "D_B_PORT_80_TCP_PORT=mine"];
  const ran = await engine.docker(["run", "--rm", "--name", "front", ...link, IMAGE, "env"]);
  t.deepEqual(
    ran.stdout
      .split("\n")
      .filter((line) => line.startsWith("D_B_"))
      .sort(),
    [
      "D_B_ENV_WORD=of mouth",
      "D_B_NAME=/front/d-b",
      `D_B_PORT=tcp://${address}:9`,
      `D_B_PORT_80_TCP=tcp://${address}:80`,
      `D_B_PORT_80_TCP_ADDR=${address}`,
      "D_B_PORT_80_TCP_PORT=mine",
      "D_B_PORT_80_TCP_PROTO=tcp",
      `D_B_PORT_9_TCP=tcp://${address}:9`,
      `D_B_PORT_9_TCP_ADDR=${address}`,
      "D_B_PORT_9_TCP_PORT=9",
      "D_B_PORT_9_TCP_PROTO=tcp",
    ],
  );
  await engine.docker(["stop", "-t", "0", "data-base"]);
  const alone = await engine.docker(["run", "--rm", "--name", "front", ...link, IMAGE, "env"]);
  const words = "Cannot link to a non running container: /data-base AS /front/d-b";
  t.true(alone.stderr.includes(words), alone.stderr);
});

test("a link is shown with both names, and removed by the one it gives", async (t) => {
  t.timeout(300_000);
  await engine.docker(["create", "--name", "linked", IMAGE]);
  await engine.docker(["create", "--name", "linking", "--link", "linked:friend", IMAGE]);
  const links = async () => {
    const format = "{{json .HostConfig.Links}}";
    return (await engine.docker(["inspect", "-f", format, "linking"])).stdout.trim();
  };
  t.is(await links(), '["/linked:/linking/friend"]');
  t.is((await engine.docker(["rm", "--link", "linking/friend"])).stdout, "linking/friend\n");
  t.is(await links(), "null");
  const gone = await engine.docker(["rm", "--link", "linking/friend"]);
  t.true(gone.stderr.includes("No such container: linking/friend"), gone.stderr);
  t.is((await engine.docker(["inspect", "linked", "linking"])).code, 0, "both are there");
});
