import type { ImageUser } from "../image/removal.ts";
import type { ContainerStore } from "./store.ts";

/** The containers there are, as far as images are concerned. */
export function imageUsers(containers: ContainerStore): ImageUser[] {
  return containers.list().flatMap(({ record, state }) => {
    const { id, rootfs, mounts } = record.spec;
    const mounted = mounts.flatMap((each) => (each.kind === "tree" && each.image) || []);
    const all = new Set([rootfs.image, ...mounted.map((each) => each.id)]);
    return [...all].map((image) => ({ id, image, running: state.status === "running" }));
  });
}
