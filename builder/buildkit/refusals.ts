import { BuildError } from "../errors.ts";
import type { Definition } from "./definition.ts";

/** Graphs of steps are made by frontends; here the only one is our own, on this side. */
export function refuseDefinition(definition: Definition | null): void {
  if ((definition?.def.length ?? 0) === 0) return;
  throw new BuildError(
    "BUILD_UNSUPPORTED",
    "builds from LLB definitions are not supported: only Dockerfiles are",
  );
}

/** Steps are found again in the store, and go nowhere else; what would be in an image says nothing of them. */
export function refuseCacheExports(types: readonly string[]): void {
  const refused = types.find((each) => each !== "inline");
  if (refused === undefined) return;
  throw new BuildError(
    "BUILD_UNSUPPORTED",
    `cache export of type ${refused} is not supported: the cache stays where the images are`,
  );
}

/** Rights that users may give to their builds. */
const ENTITLEMENTS: ReadonlySet<string> = new Set(["network.host"]);

export function refuseEntitlements(entitlements: readonly string[]): void {
  const refused = entitlements.find((each) => !ENTITLEMENTS.has(each));
  if (refused === undefined) return;
  throw new BuildError(
    "BUILD_INPUT",
    `granting entitlement ${refused} is not allowed by build daemon configuration`,
  );
}

/** Only the Dockerfile frontend is here, also where an image of it is asked for. */
export function refuseFrontend(name: string, options: ReadonlyMap<string, string>): void {
  const source = options.get("source") ?? "";
  if (name === "dockerfile.v0") return;
  if (name === "gateway.v0" && /^(?:docker\.io\/)?docker\/dockerfile(?:[:@-]|$)/.test(source))
    return;
  throw new BuildError(
    "BUILD_UNSUPPORTED",
    `frontend ${name} ${source}`.trim().concat(" not found"),
  );
}
