import { join } from "node:path";
import { fromText } from "../abi/bytes.ts";
import type { ContainerSpec } from "../spec.ts";
import type { RunImage } from "./run-image.ts";
import type { ContainerStore } from "./store.ts";

type Derived = "id" | "hostname" | "isa" | "rootfs" | "runDirectory" | "trace";

/** What is chosen about a container, by whichever of its users; the rest follows from store and image. */
export interface SpecChoice extends Omit<ContainerSpec, Derived> {
  readonly hostname: string;
  /** The root is mounted read-only. */
  readonly readOnly: boolean;
}

/** The spec of the new container `id` of `store`, on `image`. */
export function newSpec(
  store: ContainerStore,
  id: string,
  image: RunImage,
  { hostname, readOnly, ...chosen }: SpecChoice,
): ContainerSpec {
  return {
    ...chosen,
    id,
    hostname: fromText(hostname),
    isa: image.isa,
    rootfs: {
      store: fromText(store.directories.root),
      image: image.id,
      layers: image.layers.map(fromText),
      upper: fromText(join(store.directoryOf(id), "upper")),
      readOnly,
    },
    runDirectory: fromText(store.runDirectoryOf(id)),
    trace: process.env["DD_TRACE"] === "1",
  };
}
