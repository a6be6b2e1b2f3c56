import { EEXIST, Errno } from "../abi/errno.ts";
import { closeFd, HOST_O, mkdirAt, openAt } from "../host/fs.ts";
import { BlobDirectory } from "./tree/blobs.ts";
import type { Lower } from "./tree/lower.ts";
import { TreeFs } from "./tree/tree-fs.ts";
import { COMPACT_AT, Journal } from "./upper/journal.ts";
import { replay } from "./upper/replay.ts";

const OVERLAYFS_SUPER_MAGIC = 0x794c7630;

/** A container's root: what it changes, above a tree that nobody changes. */
export interface OverlayOptions {
  /** Without one it starts empty. */
  readonly lower?: Lower | undefined;
  /** The container's private directory for what it changes; owned. It is filled and found again. */
  readonly dirfd: number;
  /** Of the root of a tree that starts empty. */
  readonly rootMode?: number | undefined;
  readonly rootUid?: number | undefined;
  readonly rootGid?: number | undefined;
}

/** The upper layer cannot be used: its directory is not accessible, or its journal is something else. */
export class UpperLayerError extends Error {
  readonly code = "UPPER_LAYER";
}

/**
 * Opens the writable tree of a container. What an earlier run changed is there again; of a run that was
 * killed, everything up to some call.
 * @throws UpperLayerError; then nothing stays open.
 */
export function overlay(options: OverlayOptions): TreeFs {
  const { dirfd, lower, rootMode, rootUid, rootGid } = options;
  const made = mkdirAt(dirfd, "blobs", 0o700);
  const unusable = (error: Errno, ...descriptors: readonly number[]): UpperLayerError => {
    for (const fd of [...descriptors, dirfd]) closeFd(fd);
    lower?.close();
    return new UpperLayerError(`The container's upper layer cannot be used: ${error}`);
  };
  if (made !== undefined && made !== EEXIST) throw unusable(made);
  const blobs = openAt(dirfd, "blobs", HOST_O.RDONLY | HOST_O.DIRECTORY);
  if (blobs instanceof Errno) throw unusable(blobs);
  const opened = Journal.open(dirfd);
  if (opened instanceof Errno) throw unusable(opened, blobs);
  const { journal, changes } = opened;
  const fs = new TreeFs({
    type: "overlay",
    magic: OVERLAYFS_SUPER_MAGIC,
    blobs: new BlobDirectory(blobs),
    lower,
    log: journal,
    rootMode,
    rootUid,
    rootGid,
  });
  replay(fs, changes);
  if (journal.length > COMPACT_AT) journal.compact(fs.snapshot());
  return fs;
}
