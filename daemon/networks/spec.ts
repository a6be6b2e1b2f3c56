import type { HostConfigBody } from "../../api/routes/container-bodies.ts";
import type { Mode, NetworkSpec } from "../../sentry/spec.ts";

/** The network a container's host configuration asks for. */
export function networkSpec({ NetworkMode }: HostConfigBody, mode: Mode): NetworkSpec {
  if (NetworkMode === "none") return { mode: "none", egress: "closed" };
  if (NetworkMode === "host") return { mode: "host", egress: "open" };
  return { mode: "bridge", egress: mode === "trusted" ? "open" : "closed" };
}
