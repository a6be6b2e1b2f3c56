import test from "ava";
import { ImageError } from "../../../sentry/image/errors.ts";
import { parsePlatform, platformName } from "../../../sentry/image/platform.ts";
import {
  canonicalName,
  familiarName,
  parseReference,
  withDefaultTag,
} from "../../../sentry/image/reference.ts";

const HEX = "f".repeat(64);

const GOOD: readonly (readonly [string, string, string])[] = [
  ["debian", "docker.io/library/debian:latest", "debian:latest"],
  ["debian:bookworm-slim", "docker.io/library/debian:bookworm-slim", "debian:bookworm-slim"],
  ["library/debian", "docker.io/library/debian:latest", "debian:latest"],
  ["docker.io/debian", "docker.io/library/debian:latest", "debian:latest"],
  ["index.docker.io/me/app", "docker.io/me/app:latest", "me/app:latest"],
  ["me/app:1", "docker.io/me/app:1", "me/app:1"],
  ["me/a/b", "docker.io/me/a/b:latest", "me/a/b:latest"],
  ["localhost/x", "localhost/x:latest", "localhost/x:latest"],
  ["localhost:5000/x", "localhost:5000/x:latest", "localhost:5000/x:latest"],
  ["127.0.0.1:5000/a/b:c", "127.0.0.1:5000/a/b:c", "127.0.0.1:5000/a/b:c"],
  ["[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"],
  ["example.com/x", "example.com/x:latest", "example.com/x:latest"],
  ["Registry/x", "Registry/x:latest", "Registry/x:latest"],
  [
    "a.b/c.d/e_f/g__h/i-j/k---l",
    "a.b/c.d/e_f/g__h/i-j/k---l:latest",
    "a.b/c.d/e_f/g__h/i-j/k---l:latest",
  ],
  [`debian@sha256:${HEX}`, `docker.io/library/debian@sha256:${HEX}`, `debian@sha256:${HEX}`],
  [`debian:x@sha256:${HEX}`, `docker.io/library/debian:x@sha256:${HEX}`, `debian:x@sha256:${HEX}`],
  ["x:_tag.with-all", "docker.io/library/x:_tag.with-all", "x:_tag.with-all"],
  [`x:${"t".repeat(128)}`, `docker.io/library/x:${"t".repeat(128)}`, `x:${"t".repeat(128)}`],
  ["host:80/x", "host:80/x:latest", "host:80/x:latest"],
  ["test:5000", "docker.io/library/test:5000", "test:5000"],
];

for (const [text, canonical, familiar] of GOOD) {
  test(`${text.slice(0, 60)} means ${canonical.slice(0, 80)}`, (t) => {
    const reference = withDefaultTag(parseReference(text));
    t.is(canonicalName(reference), canonical);
    t.is(familiarName(reference), familiar);
    t.deepEqual(parseReference(canonical), reference);
    t.deepEqual(parseReference(familiar), reference);
  });
}

const FORMAT = "invalid reference format";

const BAD: readonly (readonly [string, string])[] = [
  ["", FORMAT],
  [":tag", FORMAT],
  ["x:", FORMAT],
  ["x:bad tag", FORMAT],
  [`x:${"t".repeat(129)}`, FORMAT],
  ["x@", FORMAT],
  ["x@sha256:short", FORMAT],
  [`x@sha256:${"F".repeat(64)}`, FORMAT],
  [`x@sha512:${HEX}${HEX}`, FORMAT],
  ["x@sha256:../../../etc/passwd", FORMAT],
  [`x@sha256:${HEX}@sha256:${HEX}`, FORMAT],
  ["-x", FORMAT],
  ["x-", FORMAT],
  ["a//b", FORMAT],
  ["/x", FORMAT],
  ["x/", FORMAT],
  ["a___b", FORMAT],
  ["a..b", FORMAT],
  ["../x", FORMAT],
  ["https://example.com/x", FORMAT],
  ["example.com:port/x", FORMAT],
  ["-example.com/x", FORMAT],
  ["x y", FORMAT],
  ["x\n", FORMAT],
  ["caf\u00e9", FORMAT],
  ["a".repeat(5000), FORMAT],
  ["Debian", `${FORMAT}: repository name (library/Debian) must be lowercase`],
  ["me/App:1", `${FORMAT}: repository name (me/App) must be lowercase`],
  ["example.com/App", `${FORMAT}: repository name (App) must be lowercase`],
  [`${"a/".repeat(130)}a`, `${FORMAT}: repository name must not be more than 255 characters`],
  [HEX, `${FORMAT}: invalid repository name (${HEX}), cannot specify 64-byte hexadecimal strings`],
];

for (const [text, message] of BAD) {
  test(`${JSON.stringify(text.slice(0, 60))} is no reference`, (t) => {
    const error = t.throws(() => parseReference(text), { instanceOf: ImageError });
    t.is(error?.code, "REFERENCE_INVALID");
    t.is(error?.message, message);
  });
}

test("a platform can be written in several ways", (t) => {
  const spellings = {
    "linux/amd64": "linux/amd64",
    amd64: "linux/amd64",
    x86_64: "linux/amd64",
    "linux/x86_64": "linux/amd64",
    arm64: "linux/arm64/v8",
    aarch64: "linux/arm64/v8",
    "linux/arm64": "linux/arm64/v8",
    "Linux/ARM64/v8": "linux/arm64/v8",
  };
  for (const [text, name] of Object.entries(spellings)) {
    t.is(platformName(parsePlatform(text)), name, text);
  }
  t.regex(platformName(parsePlatform("linux")), /^linux\//);
  for (const text of [
    "",
    "windows/amd64",
    "linux/s390x",
    "linux/",
    "a/b/c/d",
    "linux/amd64/../x",
  ]) {
    const error = t.throws(() => parsePlatform(text), { instanceOf: ImageError });
    t.is(error?.code, "PLATFORM_INVALID", text);
  }
});
