/** Files in memory, and the seals that fix them. See memfd_create(2). */
import { type ByteString, cstring } from "../abi/bytes.ts";
import type { Errno } from "../abi/errno.ts";
import { call } from "./call.ts";
import { failure } from "./fs.ts";

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
const F_SEAL_ALL = 0xf;

/** A file in memory that nobody else can name. See memfd_create(2). */
export function memfd(name: ByteString, sealable = true): number | Errno {
  return call("memfd_create", cstring(name), MFD_CLOEXEC | (sealable ? MFD_ALLOW_SEALING : 0));
}

/** Nothing can change the content of the memory file any more. */
export function seal(fd: number): Errno | undefined {
  return failure(call("fcntl", fd, F_ADD_SEALS, F_SEAL_ALL));
}

const F_GET_SEALS = 1034;

/** See `F_ADD_SEALS` in fcntl(2). */
export function addSeals(fd: number, seals: number): Errno | undefined {
  return failure(call("fcntl", fd, F_ADD_SEALS, seals));
}
export function getSeals(fd: number): number | Errno {
  return call("fcntl", fd, F_GET_SEALS, 0);
}
