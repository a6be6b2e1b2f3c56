import type { ImageUser } from "../image/removal.ts";
import type { ContainerStore } from "./store.ts";

/** The containers there are, as far as images are concerned. */
export function imageUsers(containers: ContainerStore): ImageUser[] {
  return containers.list().map(({ record, state }) => ({
    id: record.spec.id,
    image: record.spec.rootfs.image,
    running: state.status === "running",
  }));
}
