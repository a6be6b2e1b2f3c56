import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import {
  eraseCredentials,
  parseAuthHeader,
  parseAuthsHeader,
  storeCredentials,
  storedCredentials,
} from "../../../sentry/image/credentials.ts";
import { ImageError } from "../../../sentry/image/errors.ts";
import { ImageStore } from "../../../sentry/image/image-store.ts";
import { importRoot } from "../../../sentry/image/import-root.ts";
import { login } from "../../../sentry/image/login.ts";
import { NO_PROXIES, proxiesOf, proxyFor } from "../../../sentry/image/proxy.ts";
import { pull, pullAll } from "../../../sentry/image/pull.ts";
import { push } from "../../../sentry/image/push.ts";
import {
  isInsecure,
  type RegistrySettings,
  readRegistrySettings,
} from "../../../sentry/image/registry-settings.ts";
import { search } from "../../../sentry/image/search.ts";
import { fakeImage, MANIFEST_PATH, sendJson, startFake } from "./fake-registry.ts";
import { startRegistry, tool } from "./registry-fixture.ts";
import { pieces, scratch, tar } from "./tar-fixture.ts";

const ROOT = tar([{ name: "etc/hostname", content: "x\n" }]);
const NAME = "registry.test";
const PLAIN: RegistrySettings = {
  insecure: [],
  mirrors: [],
  certificates: [],
  proxies: NO_PROXIES,
};

/** An authority made for one test, and what it vouches for. */
function makeAuthority(t: ExecutionContext) {
  const directory = scratch(t);
  const path = (name: string): string => join(directory, name);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const authority = ["-keyout", path("ca.key"), "-out", path("ca.crt"), "-subj", "/CN=test-ca"];
  tool("openssl", "req", "-x509", ...key, ...authority, "-days", "2");
  const issue = (name: string): { readonly certificate: string; readonly key: string } => {
    const request = ["-keyout", path(`${name}.key`), "-out", path(`${name}.csr`)];
    tool("openssl", "req", ...key, ...request, "-subj", `/CN=${name}`);
    writeFileSync(path("extensions"), `subjectAltName=DNS:${name}\n`);
    const issuer = ["-CA", path("ca.crt"), "-CAkey", path("ca.key"), "-CAcreateserial"];
    const files = ["-in", path(`${name}.csr`), "-out", path(`${name}.crt`)];
    const extensions = ["-extfile", path("extensions")];
    tool("openssl", "x509", "-req", ...files, ...issuer, "-days", "2", ...extensions);
    return { certificate: path(`${name}.crt`), key: path(`${name}.key`) };
  };
  return { certificate: path("ca.crt"), issue };
}

async function listening(t: ExecutionContext, server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A proxy for user `p` with password `w@`, by which every host name leads to this machine. */
async function startProxy(t: ExecutionContext): Promise<{ address: string; asked: string[] }> {
  const asked: string[] = [];
  const allowed = `Basic ${Buffer.from("p:w@").toString("base64")}`;
  const server = createServer((request: IncomingMessage, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.writeHead(request.headers["proxy-authorization"] === allowed ? 502 : 407).end();
  });
  server.on("connect", (request: IncomingMessage, socket) => {
    asked.push(`CONNECT ${request.url}`);
    if (request.headers["proxy-authorization"] !== allowed) {
      socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
      return;
    }
    const target = connect(Number(request.url?.split(":")[1]), "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      target.pipe(socket).pipe(target);
    });
    for (const each of [target, socket]) each.on("error", () => each.destroy());
    t.teardown(() => target.destroy());
  });
  return { address: await listening(t, server), asked };
}

test("a registry with its own authority is reached through a proxy, by its certificate only", async (t) => {
  const authority = makeAuthority(t);
  const tls = { ...authority.issue(NAME), clientcas: [authority.certificate] };
  const port = (await startRegistry(t, { tls })).split(":")[1];
  const host = `${NAME}:${port}`;
  const proxy = await startProxy(t);
  const certificates = scratch(t);
  const directory = join(certificates, host);
  mkdirSync(directory);
  const proxies = { ...NO_PROXIES, https: `http://p:w%40@${proxy.address}` };
  const settings = { ...PLAIN, certificates: [certificates], proxies };
  const store = new ImageStore(scratch(t));
  const { id } = await importRoot(store, pieces(ROOT), { reference: `${host}/app` });
  const options = { settings, credentials: undefined };
  const refused = (): Promise<ImageError> =>
    t.throwsAsync(push(store, `${host}/app`, options), {
      instanceOf: ImageError,
      code: "REGISTRY_UNTRUSTED",
    });
  t.regex((await refused()).message, /certificate/);
  copyFileSync(authority.certificate, join(directory, "ca.crt"));
  await refused(); // it wants a certificate of ours
  const client = authority.issue("client");
  copyFileSync(client.certificate, join(directory, "client.cert"));
  await t.throwsAsync(push(store, `${host}/app`, options), {
    message: /missing key client.key for client certificate client.cert/,
  });
  copyFileSync(client.key, join(directory, "client.key"));
  await push(store, `${host}/app`, options);
  const other = new ImageStore(scratch(t));
  t.is((await pull(other, `${host}/app`, options)).image.id, id);
  t.true(proxy.asked.length > 0);
  t.deepEqual([...new Set(proxy.asked)], [`CONNECT ${host}`]);
  const wrong = { ...settings, proxies: { ...proxies, https: `http://p:x@${proxy.address}` } };
  await t.throwsAsync(pull(other, `${host}/app`, { ...options, settings: wrong }), {
    message: /the proxy \S+ answered 407/,
  });
});

test("an insecure registry is reached whatever its certificate, and a plain one only when it is allowed", async (t) => {
  const authority = makeAuthority(t);
  const port = (await startRegistry(t, { tls: authority.issue("another.test") })).split(":")[1];
  const host = `${NAME}:${port}`;
  const proxy = await startProxy(t);
  const proxies = {
    ...NO_PROXIES,
    https: `http://p:w%40@${proxy.address}`,
    http: `p:w%40@${proxy.address}`,
  };
  const store = new ImageStore(scratch(t));
  await importRoot(store, pieces(ROOT), { reference: `${host}/app` });
  const secure = { settings: { ...PLAIN, proxies }, credentials: undefined };
  await t.throwsAsync(push(store, `${host}/app`, secure), { code: "REGISTRY_UNTRUSTED" });
  for (const insecure of [host, NAME]) {
    await push(store, `${host}/app`, {
      ...secure,
      settings: { ...PLAIN, proxies, insecure: [insecure] },
    });
  }
  await push(store, `${host}/app`, { ...secure, insecure: true });
  // The registry's own machine is never asked for through a proxy.
  const local = {
    ...secure,
    settings: { ...PLAIN, proxies: { ...proxies, https: "nonsense://" } },
  };
  t.truthy(await pull(store, `localhost:${port}/app`, local));
});

test("mirrors are asked before the hub, one after the other", async (t) => {
  const image = fakeImage([ROOT]);
  const empty = await startFake(t);
  const mirror = await startFake(t, image);
  for (const [path, handler] of [...mirror.routes]) {
    mirror.routes.set(path.replace("/v2/app/", "/prefix/v2/library/app/"), handler);
  }
  const settings = { ...PLAIN, mirrors: [empty.origin, `${mirror.origin}/prefix`] };
  const store = new ImageStore(scratch(t));
  const { image: pulled } = await pull(store, "app", { settings });
  t.deepEqual(pulled.tags, ["app:latest"]);
  t.deepEqual(empty.requests, ["/v2/library/app/manifests/latest"]);
  t.true(mirror.requests.every((path) => path.startsWith("/prefix/v2/library/app/")));
  // Other registries have no mirrors.
  const seen = empty.requests.length;
  await pull(store, mirror.name, { settings });
  t.is(empty.requests.length, seen);
});

test("all tags of a repository are fetched, page by page", async (t) => {
  const registry = await startFake(t, fakeImage([ROOT]));
  const manifest = registry.routes.get(MANIFEST_PATH);
  if (manifest !== undefined) registry.routes.set("/v2/app/manifests/other", manifest);
  registry.routes.set("/v2/app/tags/list", (request, response) => {
    const first = !request.url?.includes("last=");
    if (first) response.setHeader("link", '</v2/app/tags/list?n=1&last=latest>; rel="next"');
    sendJson({ name: "app", tags: first ? ["latest"] : ["other"] })(request, response);
  });
  const store = new ImageStore(scratch(t));
  const pulled = await pullAll(store, registry.name, { settings: PLAIN });
  t.deepEqual([...pulled.keys()], ["latest", "other"]);
  t.deepEqual((await store.list())[0]?.tags, [`${registry.name}:latest`, `${registry.name}:other`]);
});

test("an identity token of a login is used instead of the password", async (t) => {
  const asked: string[] = [];
  const tokens = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method, url, headers } = request;
    asked.push(`${method} ${url} ${headers.authorization ?? ""}${Buffer.concat(chunks)}`);
    if (headers.authorization === `Basic ${Buffer.from("me:no").toString("base64")}`) {
      response.writeHead(401).end();
    } else response.end(JSON.stringify({ access_token: "good", refresh_token: "keep-me" }));
  });
  const realm = `http://${await listening(t, tokens)}/token`;
  const front = createServer((request, response) => {
    if (request.headers.authorization === "Bearer good") {
      response.end("{}");
      return;
    }
    response.setHeader("www-authenticate", `Bearer realm="${realm}",service="s"`);
    response.writeHead(401).end();
  });
  const host = await listening(t, front);
  const settings = PLAIN;
  t.is(await login(host, { username: "me", password: "pw" }, { settings }), "keep-me");
  t.regex(asked[0] ?? "", /^GET \/token\?service=s&account=me&offline_token=true&client_id=dd /);
  await t.throwsAsync(login(host, { username: "me", password: "no" }, { settings }), {
    code: "REGISTRY_UNAUTHORIZED",
  });
  asked.length = 0;
  t.is(await login(host, { identityToken: "keep-me" }, { settings }), "keep-me");
  t.is(
    asked[0],
    "POST /token grant_type=refresh_token&client_id=dd&refresh_token=keep-me&service=s&scope=",
  );
  asked.length = 0;
  await login(host, { registryToken: "good" }, { settings });
  t.deepEqual(asked, []);
});

test("a registry is searched by its name, and one that cannot be says so", async (t) => {
  const registry = await startFake(t);
  const { host } = new URL(registry.origin);
  registry.routes.set(
    "/v1/search",
    sendJson({ results: [{ name: "team/app", description: null, star_count: 3 }] }),
  );
  t.deepEqual(await search(`${host}/app`, 7, { settings: PLAIN }), [
    { name: "team/app", description: "", stars: 3, official: false, automated: false },
  ]);
  t.is(registry.requests.at(-1), "/v1/search?q=app&n=7");
  registry.routes.delete("/v1/search");
  await t.throwsAsync(search(`${host}/app`, undefined, { settings: PLAIN }), {
    code: "SEARCH_UNSUPPORTED",
  });
});

test("proxies are chosen as Go programs choose them", (t) => {
  const proxies = proxiesOf({
    HTTPS_PROXY: "https://secure.example:8443",
    http_proxy: "plain.example:3128",
    NO_PROXY: "internal.example, .only.example,10.1.2.3, ported.example:5000",
  });
  const chosen = (url: string): string | undefined => proxyFor(proxies, new URL(url))?.host;
  t.is(chosen("https://registry.example"), "secure.example:8443");
  t.is(chosen("http://registry.example"), "plain.example:3128");
  for (const url of [
    "https://internal.example",
    "https://deep.internal.example",
    "https://a.only.example",
    "https://10.1.2.3:5000",
    "https://ported.example:5000",
    "http://localhost:5000",
    "http://127.0.0.1",
  ]) {
    t.is(chosen(url), undefined, url);
  }
  t.truthy(chosen("https://only.example"));
  t.truthy(chosen("https://ported.example"));
  t.truthy(chosen("https://notinternal.example"));
  t.is(proxyFor({ ...proxies, none: ["*"] }, new URL("https://a.example")), undefined);
  t.throws(() => proxyFor({ ...proxies, https: "socks5://x:1" }, new URL("https://a.example")), {
    code: "SETTINGS_INVALID",
  });
});

test("insecure registries are hosts, hosts with ports, and networks", (t) => {
  const settings = { ...PLAIN, insecure: ["a.example", "b.example:5000", "10.0.0.0/8"] };
  const insecure = (url: string): boolean => isInsecure(settings, new URL(url));
  for (const url of ["https://a.example:1", "http://b.example:5000", "https://10.255.0.1:5000"]) {
    t.true(insecure(url), url);
  }
  for (const url of ["https://b.example", "https://x.a.example", "https://11.0.0.1"]) {
    t.false(insecure(url), url);
  }
});

test("settings are read from the user's file, and nonsense in it is refused", (t) => {
  const directory = scratch(t);
  const environment = { XDG_CONFIG_HOME: directory };
  t.deepEqual(readRegistrySettings(environment).mirrors, []);
  const write = (settings: object): void => {
    mkdirSync(join(directory, "dd"), { recursive: true });
    writeFileSync(join(directory, "dd", "daemon.json"), JSON.stringify(settings));
  };
  write({ "insecure-registries": ["a:5000"], "registry-mirrors": ["https://m.example"] });
  t.like(readRegistrySettings(environment), { mirrors: ["https://m.example"] });
  for (const bad of [
    { "registry-mirrors": ["m.example"] },
    { "registry-mirrors": "https://m.example" },
    { "insecure-registries": ["10.0.0.0/64"] },
    { "insecure-registries": [1] },
  ]) {
    write(bad);
    t.throws(() => readRegistrySettings(environment), { code: "SETTINGS_INVALID" });
  }
});

/** A credential helper that keeps what it is given in a file. */
function makeHelper(t: ExecutionContext): { directory: string; kept: () => string } {
  const bin = scratch(t);
  const file = join(bin, "kept");
  writeFileSync(
    join(bin, "docker-credential-kept"),
    `#!/bin/sh
case $1 in
  store) cat > ${file} ;;
  get)
    read -r server
    grep -qF "\\"$server\\"" ${file} 2>/dev/null || { echo credentials not found; exit 1; }
    cat ${file} ;;
  erase) rm -f ${file} ;;
esac
`,
  );
  chmodSync(join(bin, "docker-credential-kept"), 0o755);
  const { PATH = "" } = process.env;
  process.env["PATH"] = `${bin}:${PATH}`;
  t.teardown(() => {
    process.env["PATH"] = PATH;
  });
  return { directory: bin, kept: () => readFileSync(file, "utf8") };
}

test.serial("logins are kept in the helper that docker's configuration names", async (t) => {
  const helper = makeHelper(t);
  const directory = scratch(t);
  const config = join(directory, "config.json");
  writeFileSync(config, JSON.stringify({ credsStore: "kept", other: { kept: true } }));
  t.is(await storedCredentials("registry.example", directory), undefined);
  const login = { username: "me", password: "pw" };
  t.is(await storeCredentials("registry.example", login, directory), "kept");
  t.deepEqual(JSON.parse(helper.kept()), {
    ServerURL: "registry.example",
    Username: "me",
    Secret: "pw",
  });
  t.deepEqual(JSON.parse(readFileSync(config, "utf8")), {
    credsStore: "kept",
    other: { kept: true },
    auths: { "registry.example": {} },
  });
  t.deepEqual(await storedCredentials("registry.example", directory), login);
  await storeCredentials("docker.io", { username: "me", identityToken: "token" }, directory);
  t.regex(helper.kept(), /index\.docker\.io\/v1\/.*<token>/);
  t.deepEqual(await storedCredentials("docker.io", directory), { identityToken: "token" });
  t.true(await eraseCredentials("docker.io", directory));
  t.is(await storedCredentials("docker.io", directory), undefined);

  writeFileSync(config, JSON.stringify({ credHelpers: { "a.example": "../../bin/sh" } }));
  await t.throwsAsync(storedCredentials("a.example", directory), { code: "CREDENTIALS_INVALID" });
});

test("without a helper logins are in docker's configuration, for its owner only", async (t) => {
  const directory = join(scratch(t), "new");
  const secret = { username: "me", password: "p:w" };
  t.is(await storeCredentials("registry.example:5000", secret, directory), undefined);
  t.deepEqual(await storedCredentials("registry.example:5000", directory), secret);
  t.is(await storedCredentials("registry.example", directory), undefined);
  await storeCredentials("docker.io", { username: "", identityToken: "i" }, directory);
  t.like(await storedCredentials("docker.io", directory), { identityToken: "i" });
  t.true(await eraseCredentials("registry.example:5000", directory));
  t.false(await eraseCredentials("registry.example:5000", directory));
});

test("the headers that docker's clients send credentials in are read in both their encodings", (t) => {
  const login = { username: "me", password: "ü/?>", serveraddress: "a.example" };
  for (const encoding of ["base64", "base64url"] as const) {
    const header = Buffer.from(JSON.stringify(login)).toString(encoding);
    t.deepEqual(parseAuthHeader(header), { username: "me", password: "ü/?>" });
  }
  const encode = (value: unknown): string =>
    Buffer.from(JSON.stringify(value)).toString("base64url");
  t.is(parseAuthHeader(undefined), undefined);
  t.is(parseAuthHeader(encode({})), undefined);
  t.deepEqual(parseAuthHeader(encode({ auth: Buffer.from("a:b").toString("base64") })), {
    username: "a",
    password: "b",
  });
  const auths = parseAuthsHeader(
    encode({ "https://index.docker.io/v1/": { username: "u", password: "p" }, "b.example": {} }),
  );
  t.deepEqual([...auths], [["docker.io", { username: "u", password: "p" }]]);
  for (const bad of ["!", encode([]), encode("x"), encode({ username: 1 })]) {
    t.throws(() => parseAuthHeader(bad), { code: "CREDENTIALS_INVALID" });
  }
});
