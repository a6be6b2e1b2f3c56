import type { ContainerStore } from "../sentry/container/store.ts";
import type { ImageUser } from "../sentry/image/removal.ts";

/** The containers there are, as far as images are concerned. */
export function imageUsers(containers: ContainerStore): ImageUser[] {
  return containers.list().map(({ record, state }) => ({
    id: record.spec.id,
    image: record.spec.rootfs.image,
    running: state.status === "running",
  }));
}
