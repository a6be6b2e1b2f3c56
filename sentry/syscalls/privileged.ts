/** Calls that Linux refuses whoever lacks a capability which no container has. */
import { EACCES, EPERM, type Errno } from "../abi/errno.ts";
import type { SyscallName } from "../abi/numbers.ts";
import { type Syscall, syscall } from "./define.ts";

/** Call, what it would take, and the error that its man page gives for lacking it. */
const REFUSED: readonly (readonly [SyscallName, string, Errno])[] = [
  ["acct", "CAP_SYS_PACCT", EPERM],
  ["bpf", "CAP_BPF", EPERM],
  ["delete_module", "CAP_SYS_MODULE", EPERM],
  ["finit_module", "CAP_SYS_MODULE", EPERM],
  ["init_module", "CAP_SYS_MODULE", EPERM],
  ["ioperm", "CAP_SYS_RAWIO", EPERM],
  ["iopl", "CAP_SYS_RAWIO", EPERM],
  ["kexec_file_load", "CAP_SYS_BOOT", EPERM],
  ["kexec_load", "CAP_SYS_BOOT", EPERM],
  ["perf_event_open", "CAP_PERFMON", EACCES],
  ["quotactl", "CAP_SYS_ADMIN", EPERM],
  ["reboot", "CAP_SYS_BOOT", EPERM],
  ["swapoff", "CAP_SYS_ADMIN", EPERM],
  ["swapon", "CAP_SYS_ADMIN", EPERM],
  ["userfaultfd", "CAP_SYS_PTRACE", EPERM],
  ["vhangup", "CAP_SYS_TTY_CONFIG", EPERM],
];

export const PRIVILEGED: readonly Syscall[] = REFUSED.map(([name, capability, error]) =>
  syscall(name, {
    support: { partial: `Always ${error.name}, as without ${capability}` },
    args: {},
    run: () => error,
  }),
);
