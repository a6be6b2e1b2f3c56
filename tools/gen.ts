/** Writes every generated file of the tree; with `--check`, fails if one is not what it would write. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { COMMANDS } from "../cli/commands.ts";
import { reference } from "../cli/reference.ts";
import { layoutHeader } from "../profiles/linux/header.ts";
import { compileSchema, hasFlatc } from "./flatbuffers.ts";
import { parseStructs, toCpp, toTypeScript } from "./layout.ts";

const root = new URL("../../../", import.meta.url);
const pathOf = (path: string) => fileURLToPath(new URL(path, root));
const read = (path: string) => readFileSync(new URL(path, root), "utf8");

/** Path in the tree -> what makes its content. */
const GENERATED: Record<string, () => string> = {
  "docs/ddcli.md": () => reference(COMMANDS),
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
