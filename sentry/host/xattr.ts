/** Extended attributes of open host files. See xattr(7). */
import { type ByteString, cstring } from "../abi/bytes.ts";
import { Errno } from "../abi/errno.ts";
import { call } from "./call.ts";
import { failure } from "./fs.ts";

const XATTR_SIZE_MAX = 65536;

/** The extended attribute `name` of the open file. @returns `ENODATA`, `EOPNOTSUPP`. */
export function getxattr(fd: number, name: ByteString): Uint8Array | Errno {
  const bytes = Buffer.allocUnsafeSlow(XATTR_SIZE_MAX);
  const length = call("fgetxattr", fd, cstring(name), bytes, bytes.length);
  return length instanceof Errno ? length : Uint8Array.prototype.slice.call(bytes, 0, length);
}
export function setxattr(
  fd: number,
  name: ByteString,
  value: Uint8Array,
  flags: number,
): Errno | undefined {
  return failure(call("fsetxattr", fd, cstring(name), value, value.length, flags));
}
export function listxattr(fd: number): ByteString[] | Errno {
  const bytes = Buffer.allocUnsafeSlow(XATTR_SIZE_MAX);
  const length = call("flistxattr", fd, bytes, bytes.length);
  if (length instanceof Errno) return length;
  return length === 0 ? [] : bytes.toString("latin1", 0, length - 1).split("\0");
}
export function removexattr(fd: number, name: ByteString): Errno | undefined {
  return failure(call("fremovexattr", fd, cstring(name)));
}
