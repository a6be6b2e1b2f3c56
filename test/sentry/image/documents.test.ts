import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import fc from "fast-check";
import { storedCredentials } from "../../../sentry/image/credentials.ts";
import { ImageError } from "../../../sentry/image/errors.ts";
import { parseImageConfig } from "../../../sentry/image/image-config.ts";
import { encodeDocument, readDocument } from "../../../sentry/image/image-document.ts";
import { parseManifest } from "../../../sentry/image/manifest.ts";
import { parseReference } from "../../../sentry/image/reference.ts";
import { parseChallenge } from "../../../sentry/image/registry-auth.ts";
import { fakeImage } from "./fake-registry.ts";
import { scratch, tar } from "./tar-fixture.ts";

const IMAGE = fakeImage([tar([{ name: "f" }])]);

/** `run` gives an answer or an ImageError: nothing else may come out of a document. */
function total(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
  }
}

test("any JSON is a manifest, an index, or an error of ours", (t) => {
  const encode = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
  fc.assert(
    fc.property(fc.jsonValue(), fc.option(fc.string()), (value, type) => {
      total(() => parseManifest(encode(value), type ?? undefined));
      total(() => parseImageConfig(encode(value)));
    }),
  );
  // Each member of a good document replaced by anything.
  const keys = fc.constantFrom("schemaVersion", "mediaType", "config", "layers", "manifests");
  fc.assert(
    fc.property(keys, fc.jsonValue(), (key, value) => {
      total(() => parseManifest(encode({ ...IMAGE.manifest, [key]: value }), undefined));
    }),
  );
  const config = JSON.parse(IMAGE.config.toString());
  const members = fc.constantFrom("rootfs", "config", "os", "architecture", "created", "variant");
  fc.assert(
    fc.property(members, fc.jsonValue(), (key, value) => {
      total(() => parseImageConfig(encode({ ...config, [key]: value })));
      total(() => parseImageConfig(encode({ ...config, config: { [String(key)]: value } })));
    }),
  );
  t.pass();
});

test("any text is a reference or an error of ours", (t) => {
  fc.assert(fc.property(fc.string(), (text) => total(() => parseReference(text))));
  const pieces = fc.array(
    fc.constantFrom("a", "A", ".", "_", "-", "/", ":", "@", "sha256", "[", "]"),
  );
  fc.assert(fc.property(pieces, (text) => total(() => parseReference(text.join("")))));
  t.pass();
});

test("what a config says survives being written and read", (t) => {
  const config = parseImageConfig(
    Buffer.from(
      JSON.stringify({
        architecture: "arm64",
        os: "linux",
        created: "2026-01-02T03:04:05Z",
        config: {
          Env: ["A=1"],
          Cmd: ["x"],
          Entrypoint: null,
          ExposedPorts: { "80/tcp": {} },
          Volumes: { "/data": {} },
          Labels: { constructor: "c", ["__proto__"]: "p" },
          StopSignal: "",
        },
        rootfs: { type: "layers", diff_ids: [`sha256:${"a".repeat(64)}`] },
      }),
    ),
  );
  t.deepEqual(config.config.ExposedPorts, ["80/tcp"]);
  t.deepEqual(config.config.Volumes, ["/data"]);
  t.is(config.config.Labels["constructor"], "c");
  t.is(config.config.Labels["toString"], undefined);
  t.false("Entrypoint" in config.config);
  t.false("StopSignal" in config.config);
  const written = encodeDocument({
    ...config,
    config: { Env: config.config.Env, Healthcheck: { Test: ["NONE"] } },
    history: [{ created_by: "x", empty_layer: true }],
  });
  const again = parseImageConfig(written);
  t.deepEqual({ ...again, config: undefined }, { ...config, config: undefined });
  t.deepEqual(again.config.Env, config.config.Env);
  t.deepEqual(readDocument(written), {
    config: { Env: ["A=1"], Healthcheck: { Test: ["NONE"] } },
    history: [{ created_by: "x", empty_layer: true }],
  });
});

test("a challenge is read as RFC 9110 writes it, and nothing is made of anything else", (t) => {
  const bearer = parseChallenge(
    'Bearer realm="https://auth.example/token?a=b,c",service=reg.example , scope="a:\\"b\\":pull"',
  );
  t.is(bearer?.scheme, "bearer");
  t.deepEqual(Object.fromEntries(bearer?.parameters ?? []), {
    realm: "https://auth.example/token?a=b,c",
    service: "reg.example",
    scope: 'a:"b":pull',
  });
  t.is(parseChallenge("BASIC")?.scheme, "basic");
  t.is(parseChallenge(undefined), undefined);
  t.is(parseChallenge(""), undefined);
  t.is(parseChallenge(`Basic realm="${"x".repeat(10_000)}"`), undefined);
  t.deepEqual(parseChallenge('Bearer realm="open')?.parameters.size, 0);
  fc.assert(fc.property(fc.string(), (text) => void parseChallenge(text)));
});

test("docker's stored credentials are found by the registry's name", async (t) => {
  const directory = scratch(t);
  const auth = (text: string): { auth: string } => ({ auth: Buffer.from(text).toString("base64") });
  const file = join(directory, "config.json");
  writeFileSync(
    file,
    JSON.stringify({
      auths: {
        "https://index.docker.io/v1/": auth("hub:secret"),
        "registry.example": auth("me:a:b"),
        "https://other.example/v2/": auth("you:x"),
        "odd.example": { auth: 5 },
        "helper.example": {},
      },
      credsStore: "desktop",
    }),
  );
  const find = (domain: string) => storedCredentials(domain, directory);
  t.deepEqual(await find("docker.io"), { username: "hub", password: "secret" });
  t.deepEqual(await find("registry.example"), { username: "me", password: "a:b" });
  t.deepEqual(await find("other.example"), { username: "you", password: "x" });
  for (const none of ["registry.example.evil", "example", "odd.example", "helper.example"]) {
    t.is(await find(none), undefined, none);
  }
  for (const bad of ["{", "[]", '{"auths":[]}', '{"auths":{"a":1}}']) {
    writeFileSync(file, bad);
    t.is(await find("a"), undefined);
  }
  mkdirSync(join(directory, "empty"));
  t.is(await storedCredentials("a", join(directory, "empty")), undefined);
});
