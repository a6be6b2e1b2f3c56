import type { NodeType } from "./tree.ts";

/** The type bits of `st_mode`. See inode(7). */
export const S_IFMT = 0o170000;
export const S_IFDIR = 0o040000;

const BITS: Readonly<Record<NodeType, number>> = {
  fifo: 0o010000,
  character: 0o020000,
  directory: S_IFDIR,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
};

const BY_KIND: ReadonlyMap<number, NodeType> = new Map(
  (Object.keys(BITS) as NodeType[]).map((type) => [BITS[type] >> 12, type]),
);

export function typeBits(type: NodeType): number {
  return BITS[type];
}

export function modeOf(type: NodeType, permissions: number): number {
  return BITS[type] | permissions;
}

/** The type in the upper four bits of `st_mode`, or undefined where they name none that we keep. */
export function typeOfKind(kind: number): NodeType | undefined {
  return BY_KIND.get(kind);
}
