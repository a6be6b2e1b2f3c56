import type { JsonObject } from "../../api/engine/json.ts";
import type { HostConfigBody } from "../../api/routes/container-bodies.ts";
import { toText } from "../../sentry/abi/bytes.ts";
import { INIT_TARGET } from "../../sentry/container/init-program.ts";
import type { ContainerRecord } from "../../sentry/container/record.ts";
import type { MountSpec } from "../../sentry/spec.ts";

/** Of what is not said otherwise. */
const PROPAGATION = "rprivate";

/** Mounts as inspect and list tell them. */
export function describeMounts({ spec, engine }: ContainerRecord): JsonObject[] {
  const asked = engine?.hostConfig as HostConfigBody | undefined;
  // `--tmpfs` is shown where it was asked for, in the host configuration; `--mount type=tmpfs` is shown here.
  const hidden = new Set([INIT_TARGET, ...Object.keys(asked?.Tmpfs ?? {})]);
  return spec.mounts
    .filter(({ target }) => !hidden.has(toText(target)))
    .map((mount) => ({
      Type: mount.kind === "tree" ? "image" : mount.kind,
      ...(mount.kind === "volume" ? { Name: mount.name } : {}),
      ...(mount.kind === "tree" ? { Name: mount.image?.name ?? "" } : {}),
      Source: "source" in mount ? toText(mount.source) : "",
      Destination: toText(mount.target),
      ...(mount.kind === "volume" ? { Driver: "local" } : {}),
      Mode: modeOf(mount, asked),
      RW: !mount.readOnly,
      Propagation: propagationOf(mount, asked),
    }));
}

/** What was said about it after the last colon of `-v`; of a volume that was named, docker says `z`. */
function modeOf(mount: MountSpec, asked: HostConfigBody | undefined): string {
  const target = toText(mount.target);
  const usual = mount.kind === "volume" ? "z" : "";
  if (asked === undefined) return mount.readOnly ? "ro" : usual;
  const bind = asked.Binds?.map((text) => text.split(":")).find(([, at]) => isAt(at, target));
  if (bind !== undefined) return bind[2] || usual;
  return asked.Mounts?.some(({ Target }) => isAt(Target, target)) === true ? usual : "";
}

function propagationOf(mount: MountSpec, asked: HostConfigBody | undefined): string {
  if (mount.kind !== "bind" && mount.kind !== "tree") return "";
  const target = toText(mount.target);
  const option = asked?.Mounts?.find(({ Target }) => isAt(Target, target))?.BindOptions
    ?.Propagation;
  const word = modeOf(mount, asked)
    .split(",")
    .find((each) => /^r?(?:private|shared|slave)$/.test(each));
  return option || word || PROPAGATION;
}

/** Whether that is the path that has been asked for, but for a slash at its end. */
function isAt(path: string | null | undefined, target: string): boolean {
  return path?.replace(/(?<=.)\/+$/, "") === target;
}
