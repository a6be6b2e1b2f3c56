/** The mount tables: `mounts`, `mountinfo`. See proc_pid_mountinfo(5). */
import type { ByteString } from "../../abi/bytes.ts";
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, majorOf, minorOf } from "../../abi/file.ts";
import type { Actor } from "../../vfs/fs-context.ts";
import { type Mount, type Path, pathName } from "../../vfs/mount.ts";

const ESCAPED = /[ \t\n\\#]/g;
const escaped = (name: ByteString) =>
  name.replace(ESCAPED, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, "0")}`);

function flagNames(flags: number): string {
  return [
    (flags & MS_RDONLY) !== 0 ? "ro" : "rw",
    ...((flags & MS_NOSUID) !== 0 ? ["nosuid"] : []),
    ...((flags & MS_NODEV) !== 0 ? ["nodev"] : []),
    ...((flags & MS_NOEXEC) !== 0 ? ["noexec"] : []),
    "relatime",
  ].join(",");
}

function superOptions(mount: Mount): string {
  const access = mount.fs.readOnly ? "ro" : "rw";
  return mount.fs.options === "" ? access : `${access},${mount.fs.options}`;
}

/** The mounts that can be reached from `root`, and where. */
function* reachable(root: Path): Generator<readonly [mount: Mount, point: ByteString]> {
  for (const mount of root.mount.namespace.mounts) {
    const at = mount === root.mount ? root : mount.rootPath;
    const point = pathName(at, root);
    if (point.startsWith("/")) yield [mount, point];
  }
}

export function mountsTable(actor: Actor): ByteString {
  let text = "";
  for (const [mount, point] of reachable(actor.fs.root)) {
    const options = [flagNames(mount.flags), mount.fs.options].filter((part) => part !== "");
    text += `${escaped(mount.source)} ${escaped(point)} ${mount.fs.type} ${options.join(",")} 0 0\n`;
  }
  return text;
}

export function mountinfo(actor: Actor): ByteString {
  let text = "";
  for (const [mount, point] of reachable(actor.fs.root)) {
    const { dev } = mount.fs;
    const parent = mount.at?.mount.id ?? mount.id - 1;
    let root = "";
    for (let at = mount.root; !at.isRoot; at = at.parent) root = `/${at.name}${root}`;
    text +=
      `${mount.id} ${parent} ${majorOf(dev)}:${minorOf(dev)} ${escaped(root || "/")} ` +
      `${escaped(point)} ${flagNames(mount.flags)} - ${mount.fs.type} ${escaped(mount.source)} ` +
      `${superOptions(mount)}\n`;
  }
  return text;
}
