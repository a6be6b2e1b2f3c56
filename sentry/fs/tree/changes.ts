import type { ByteString } from "../../abi/bytes.ts";
import type { Errno } from "../../abi/errno.ts";

/** Everything about an inode but its names and bytes. */
export interface InodeRecord {
  readonly kind: "inode";
  readonly ino: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly nlink: number;
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly btimeNs: bigint;
  /** Whether its bytes are in the blob with its number. */
  readonly blob: boolean;
  /** Where in the lower tree it comes from (names joined by `/`, empty for the root); absent: from nowhere. */
  readonly origin: ByteString | undefined;
  /** Of a symbolic link. */
  readonly target: ByteString;
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array>;
}

/** One change of a tree. Applying changes in order, each any number of times, gives the same tree. */
export type Change =
  | InodeRecord
  /** `name` in directory `parent` is inode `ino` from now on. */
  | {
      readonly kind: "link";
      readonly parent: number;
      readonly name: ByteString;
      readonly ino: number;
      readonly timeNs: bigint;
    }
  /** `name` is gone; with `whiteout`, what the lower tree has under it is hidden. */
  | {
      readonly kind: "unlink";
      readonly parent: number;
      readonly name: ByteString;
      readonly whiteout: boolean;
      readonly timeNs: bigint;
    }
  /** The inode and its bytes are gone. */
  | { readonly kind: "drop"; readonly ino: number };

/** Where changes go before they are made. */
export interface ChangeLog {
  /** Records `changes`, all or none. @returns e.g. `ENOSPC`: then nothing is recorded. */
  append(changes: readonly Change[]): Errno | undefined;
  /** Makes everything appended durable. */
  sync(): Errno | undefined;
  /** The container stops: what a full record of the tree looks like now replaces the history. */
  close(snapshot: () => Iterable<Change>): void;
}
