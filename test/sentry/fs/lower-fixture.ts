/** Lower trees made of a description, with their bytes in a host file, as a pulled image has them. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { S_IFDIR, S_IFLNK, S_IFREG } from "../../../sentry/abi/file.ts";
import { imageLower } from "../../../sentry/fs/image.ts";
import type { Lower } from "../../../sentry/fs/tree/lower.ts";
import { closeFd, HOST_O, openHostPath } from "../../../sentry/host/fs.ts";
import type { ImageEntry, ImageNode, NodeType } from "../../../sentry/image/tree.ts";
import { ok } from "./fixture.ts";

/** A directory, a file's text, or a symlink. The same `File` object under several names is one inode. */
export type Spec = { [name: string]: Spec } | File | { readonly link: string };
export class File {
  readonly text: string;
  readonly mode: number;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  constructor(text: string, mode = 0o644, xattrs: ReadonlyMap<string, Uint8Array> = new Map()) {
    this.text = text;
    this.mode = mode;
    this.xattrs = xattrs;
  }
}

/** @param directory where the bytes go. */
export function lowerOf(spec: { [name: string]: Spec }, directory: string): Lower {
  let bytes = "";
  let nextIno = 1;
  const path = join(directory, "pack");
  const known = new Map<Spec, ImageNode & { nlink: number }>();
  const build = (item: Spec): ImageNode => {
    const before = known.get(item);
    if (before !== undefined) {
      before.nlink++;
      return before;
    }
    const ino = nextIno++;
    const isFile = item instanceof File;
    const target = !isFile && typeof item["link"] === "string" ? item["link"] : "";
    const type: NodeType = isFile ? "file" : target !== "" ? "symlink" : "directory";
    const children = new Map<string, ImageNode>();
    if (type === "directory") {
      for (const [name, child] of Object.entries(item as { [name: string]: Spec })) {
        children.set(name, build(child));
      }
    }
    const offset = bytes.length;
    if (isFile) bytes += item.text;
    const length = isFile ? item.text.length : target.length;
    const node = {
      ino,
      type,
      mode: isFile ? S_IFREG | item.mode : target !== "" ? S_IFLNK | 0o777 : S_IFDIR | 0o755,
      uid: 0,
      gid: 0,
      size: type === "directory" ? 0 : length,
      mtime: 1_600_000_000_000_000_000n,
      nlink: 1,
      rdev: 0,
      target,
      xattrs: () => (isFile ? item.xattrs : new Map()),
      lookup: (name: string) => children.get(name),
      *list(): Generator<ImageEntry> {
        for (const name of [...children.keys()].sort()) {
          const child = children.get(name) as ImageNode;
          yield { name, ino: child.ino, type: child.type };
        }
      },
      content: () => (isFile ? { fd, offset, length, mappable: false } : undefined),
    };
    known.set(item, node);
    return node;
  };
  const root = build(spec);
  writeFileSync(path, bytes, "latin1");
  const fd = ok(openHostPath(path, HOST_O.RDONLY));
  return imageLower({
    root,
    inodeMax: nextIno,
    inodeCount: nextIno,
    contentBytes: bytes.length,
    close: () => closeFd(fd),
  });
}

/** A lower tree with everything that copy-up has to keep. */
const shared = new File("two names");
export const LOWER: { [name: string]: Spec } = {
  a: { a: new File("lower a/a"), b: { c: new File("deep", 0o600) }, c: { link: "/b" } },
  b: new File("lower b"),
  c: { a: shared, b: shared },
  ".wh.a": new File("an ordinary name"),
};
