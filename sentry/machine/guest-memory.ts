import { native } from "../../ring/native.ts";
import type { ByteString } from "../abi/bytes.ts";
import { EFAULT, ENAMETOOLONG, Errno } from "../abi/errno.ts";
import { call } from "../host/call.ts";
import type { GuestMemory } from "../kernel/memory.ts";

const PAGE = 4096;
/** User addresses end here; see Documentation/arch/x86/x86_64/mm.rst. */
const USER_END = 2 ** 47;

/** Another process's memory through process_vm_readv(2) and process_vm_writev(2). */
export class ProcessMemory implements GuestMemory {
  readonly #pid: () => number | undefined;
  readonly #local = new BigUint64Array(2);
  readonly #remote = new BigUint64Array(2);

  /** @param pid the host pid; undefined while there is no process yet or any more: then all is EFAULT. */
  constructor(pid: () => number | undefined) {
    this.#pid = pid;
  }

  copyIn(addr: number, length: number): Uint8Array | Errno {
    const bytes = Buffer.allocUnsafeSlow(length);
    if (length === 0) return bytes;
    return this.#transfer("process_vm_readv", addr, bytes) === length ? bytes : EFAULT;
  }

  copyOut(addr: number, bytes: Uint8Array): Errno | undefined {
    if (bytes.length === 0) return undefined;
    return this.#transfer("process_vm_writev", addr, bytes) === bytes.length ? undefined : EFAULT;
  }

  copyInString(addr: number, limit: number): ByteString | Errno {
    let text = "";
    let at = addr;
    while (text.length < limit) {
      // Up to the end of a page: the next one may not be there, and need not be.
      const chunk = Math.min(PAGE - (at % PAGE), limit - text.length);
      const bytes = this.copyIn(at, chunk);
      if (bytes instanceof Errno) return bytes;
      const end = bytes.indexOf(0);
      text += Buffer.from(bytes.buffer, bytes.byteOffset, end < 0 ? chunk : end).toString("latin1");
      if (end >= 0) return text;
      at += chunk;
    }
    return ENAMETOOLONG;
  }

  #transfer(
    name: "process_vm_readv" | "process_vm_writev",
    addr: number,
    bytes: Uint8Array,
  ): number | Errno {
    const pid = this.#pid();
    if (pid === undefined || !(addr >= 0 && addr + bytes.length <= USER_END)) return EFAULT;
    this.#local[0] = BigInt(native.addressOf(bytes));
    this.#local[1] = BigInt(bytes.length);
    this.#remote[0] = BigInt(addr);
    this.#remote[1] = BigInt(bytes.length);
    return call(name, pid, this.#local, 1, this.#remote, 1, 0);
  }
}
