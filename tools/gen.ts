/** Writes every generated file of the tree; with `--check`, fails if one is not what it would write. */
import { readFileSync, writeFileSync } from "node:fs";
import { layoutHeader } from "../profiles/linux/header.ts";
import { parseStructs, toCpp, toTypeScript } from "./layout.ts";

const root = new URL("../../../", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), "utf8");

/** Path in the tree -> what makes its content. */
const GENERATED: Record<string, () => string> = {
  "guest/confine/confinement_layout.h": layoutHeader,
  "ring/layout.h": () => toCpp(parseStructs(read("ring/ring.fbs")), "dd::ring"),
  "ring/layout.ts": () => toTypeScript(parseStructs(read("ring/ring.fbs"))),
};

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
