import { toText } from "../../sentry/abi/bytes.ts";
import type { ContainerRecord } from "../../sentry/container/record.ts";
import type { DaemonContext } from "../context.ts";

const DRIVER = "local";

/** Tells that a container has its volumes, or lets go of them. */
export function volumeEvents(
  { events }: Pick<DaemonContext, "events">,
  action: "mount" | "unmount",
  { spec }: ContainerRecord,
): void {
  for (const mount of spec.mounts) {
    if (mount.kind !== "volume") continue;
    events.emit("volume", action, mount.name, {
      container: spec.id,
      driver: DRIVER,
      ...(action === "unmount"
        ? {}
        : {
            destination: toText(mount.target),
            propagation: "",
            "read/write": String(!mount.readOnly),
          }),
    });
  }
}
