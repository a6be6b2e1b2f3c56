/** Extended attributes: the calls of xattr(7), each by path, by path without following, and by descriptor. */
import type { ByteString } from "../abi/bytes.ts";
import { E2BIG, EBADF, EINVAL, EOPNOTSUPP, ERANGE, Errno } from "../abi/errno.ts";
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_PATH, XATTR_CREATE, XATTR_REPLACE } from "../abi/file.ts";
import type { SyscallName } from "../abi/numbers.ts";
import type { Task } from "../kernel/task.ts";
import type { IoBuffer } from "../vfs/io-buffer.ts";
import type { Path } from "../vfs/mount.ts";
import { getxattr, listxattr, removexattr, setxattr } from "../vfs/xattr.ts";
import { fd, inBuffer, int, name, outBuffer, path, size } from "./args.ts";
import { lookupAt, vfsFile } from "./at.ts";
import { type Arg, type Syscall, syscall } from "./define.ts";

/** XATTR_NAME_MAX, with its NUL. */
const NAME_SIZE = 256;
/** XATTR_SIZE_MAX, and XATTR_LIST_MAX. */
const SIZE_MAX = 65536;

/** The three ways to say which file: what the first register is, and how it leads to a place. */
interface Way<T> {
  readonly prefix: "" | "l" | "f";
  readonly arg: Arg<T>;
  place(task: Task, value: T): Path | Errno;
}

const byPath: Way<ByteString> = {
  prefix: "",
  arg: path,
  place: (task, value) => lookupAt(task, AT_FDCWD, value, 0),
};
const byLink: Way<ByteString> = {
  prefix: "l",
  arg: path,
  place: (task, value) => lookupAt(task, AT_FDCWD, value, AT_SYMLINK_NOFOLLOW),
};
const byDescriptor: Way<number> = {
  prefix: "f",
  arg: fd,
  place: (task, value) => {
    const file = vfsFile(task, value, EOPNOTSUPP);
    if (file instanceof Errno) return file;
    return (file.flags & O_PATH) !== 0 ? EBADF : file.path;
  },
};

/** Hands out `bytes`, or only their number when there is no room at all. @returns `ERANGE`. */
function deliver(bytes: Uint8Array, buffer: IoBuffer): number | Errno {
  if (buffer.length === 0) return bytes.length;
  if (bytes.length > buffer.length) return ERANGE;
  buffer.put(bytes);
  return bytes.length;
}

function calls<T>(way: Way<T>): Syscall[] {
  const named = (call: string) => `${way.prefix}${call}` as SyscallName;
  return [
    syscall(named("getxattr"), {
      support: "full",
      args: { file: way.arg, name: name(NAME_SIZE), value: outBuffer(3), size },
      run: (task, { file, name, value }) => {
        const place = way.place(task, file);
        if (place instanceof Errno) return place;
        const bytes = getxattr(task, place, name);
        return bytes instanceof Errno ? bytes : deliver(bytes, value);
      },
    }),
    syscall(named("setxattr"), {
      support: { partial: "POSIX access control lists (system.*) are not supported" },
      args: { file: way.arg, name: name(NAME_SIZE), value: inBuffer(3), size, flags: int },
      run: (task, { file, name, value, flags }) => {
        if ((flags & ~(XATTR_CREATE | XATTR_REPLACE)) !== 0 || flags === 3) return EINVAL;
        if (value.length > SIZE_MAX) return E2BIG;
        const place = way.place(task, file);
        if (place instanceof Errno) return place;
        return setxattr(task, place, name, value.take(), flags) ?? 0;
      },
    }),
    syscall(named("listxattr"), {
      support: "full",
      args: { file: way.arg, list: outBuffer(2), size },
      run: (task, { file, list }) => {
        const place = way.place(task, file);
        if (place instanceof Errno) return place;
        const names = listxattr(task, place);
        if (names instanceof Errno) return names;
        return deliver(Buffer.from(names.map((each) => `${each}\0`).join(""), "latin1"), list);
      },
    }),
    syscall(named("removexattr"), {
      support: "full",
      args: { file: way.arg, name: name(NAME_SIZE) },
      run: (task, { file, name }) => {
        const place = way.place(task, file);
        return place instanceof Errno ? place : (removexattr(task, place, name) ?? 0);
      },
    }),
  ];
}

export const XATTR: readonly Syscall[] = [
  ...calls(byPath),
  ...calls(byLink),
  ...calls(byDescriptor),
];
