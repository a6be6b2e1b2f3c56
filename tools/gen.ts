/** Writes every generated file of the tree; with `--check`, fails if one is not what it would write. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { COMMANDS } from "../cli/commands.ts";
import { reference } from "../cli/reference.ts";
import { explainProfile } from "../profiles/explain.ts";
import { layoutHeader } from "../profiles/linux/header.ts";
import { executorProfile, sentryProfile } from "../profiles/profiles.ts";
import { SYSCALLS } from "../sentry/syscalls/table.ts";
import { arm64Coverage } from "./arm64.ts";
import { compatibility } from "./compat.ts";
import { embed } from "./embed.ts";
import { compileSchema, hasFlatc } from "./flatbuffers.ts";
import { parseStructs, toCpp, toTypeScript } from "./layout.ts";
import { numberTable, stagingTable } from "./staging.ts";

const root = new URL("../../../", import.meta.url);
const pathOf = (path: string) => fileURLToPath(new URL(path, root));
const read = (path: string) => readFileSync(new URL(path, root), "utf8");

/** Path in the tree -> what makes its content. */
const GENERATED: Record<string, () => string> = {
  "guest/native/x86_64/staging.inc": () => stagingTable("x86_64"),
  "guest/translated/arm64/numbers.inc": () => numberTable("arm64", "x86_64"),
  "guest/translated/arm64/staging.inc": () => stagingTable("arm64"),
  "SECURITY.md": () =>
    embed(read("SECURITY.md"), {
      "executor profile": explainProfile(executorProfile),
      "sentry profile": explainProfile(sentryProfile),
    }),
  "docs/arm64.md": arm64Coverage,
  "docs/ddcli.md": () => reference(COMMANDS),
  "docs/syscalls.md": () => compatibility(SYSCALLS),
  "guest/confine/confinement_layout.h": layoutHeader,
  "ring/layout.h": () => toCpp(parseStructs(read("ring/ring.fbs")), "dd::ring"),
  "ring/layout.ts": () => toTypeScript(parseStructs(read("ring/ring.fbs"))),
};

if (hasFlatc()) {
  for (const [name, content] of compileSchema(pathOf("sentry/image/layer.fbs"), "layer")) {
    GENERATED[`sentry/image/generated/layer/${name}`] = () => content;
  }
} else {
  console.error("sentry/image/generated is passed over: flatc (flatbuffers-compiler) is missing");
}

const check = process.argv.includes("--check");
let stale = 0;
for (const [path, make] of Object.entries(GENERATED)) {
  const content = make();
  if (!check) {
    writeFileSync(new URL(path, root), content);
  } else if (content !== read(path)) {
    console.error(`${path} is stale: run npm run gen`);
    stale++;
  }
}
process.exitCode = stale === 0 ? 0 : 1;
