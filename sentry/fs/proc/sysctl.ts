/** `/proc/sys`: parameters of the kernel that programs read. See proc_sys(5). */
import { randomUUID } from "node:crypto";
import type { ByteString } from "../../abi/bytes.ts";
import { EINVAL, type Errno } from "../../abi/errno.ts";
import { FixedDirectory, type Text, type VirtualFs } from "../virtual/nodes.ts";
import type { SystemInfo } from "./info.ts";

function value(text: ByteString): Text {
  return { read: () => `${text}\n` };
}

/** A number that can be changed, and is kept, but means nothing to the sentry. */
function number(initial: number, min: number, max: number): Text {
  let current = initial;
  return {
    read: () => `${current}\n`,
    write: (text): Errno | undefined => {
      const wanted = text.trim();
      if (!/^-?[0-9]{1,15}$/.test(wanted)) return EINVAL;
      if (Number(wanted) < min || Number(wanted) > max) return EINVAL;
      current = Number(wanted);
      return undefined;
    },
  };
}

function parameters(system: SystemInfo): Record<string, Text> {
  return {
    "kernel/hostname": { read: () => `${system.hostname}\n` },
    "kernel/domainname": { read: () => `${system.domainname}\n` },
    "kernel/ostype": value("Linux"),
    "kernel/osrelease": { read: () => `${system.release}\n` },
    "kernel/version": { read: () => `${system.version}\n` },
    "kernel/pid_max": { read: () => `${system.pidMax}\n` },
    "kernel/threads-max": value("127213"),
    "kernel/cap_last_cap": value("40"),
    "kernel/ngroups_max": value("65536"),
    "kernel/overflowuid": value("65534"),
    "kernel/overflowgid": value("65534"),
    "kernel/randomize_va_space": value("2"),
    "kernel/core_pattern": value("core"),
    "kernel/core_uses_pid": value("0"),
    "kernel/dmesg_restrict": value("1"),
    "kernel/kptr_restrict": value("1"),
    "kernel/perf_event_paranoid": value("4"),
    "kernel/yama/ptrace_scope": value("1"),
    "kernel/shmmax": value("18446744073692774399"),
    "kernel/shmall": value("18446744073692774399"),
    "kernel/shmmni": value("4096"),
    "kernel/sem": value("32000\t1024000000\t500\t32000"),
    "kernel/msgmax": value("8192"),
    "kernel/msgmnb": value("16384"),
    "kernel/msgmni": value("32000"),
    "kernel/random/boot_id": { read: () => `${system.bootId}\n` },
    "kernel/random/uuid": { read: () => `${randomUUID()}\n` },
    "kernel/random/entropy_avail": value("256"),
    "kernel/random/poolsize": value("256"),
    "kernel/seccomp/actions_avail": value("kill_process kill_thread trap errno trace log allow"),
    "vm/overcommit_memory": number(0, 0, 2),
    "vm/overcommit_ratio": number(50, 0, 100),
    "vm/max_map_count": number(65530, 0, 2 ** 31 - 1),
    "vm/swappiness": number(60, 0, 200),
    "vm/mmap_min_addr": value("65536"),
    "vm/nr_hugepages": value("0"),
    "vm/dirty_ratio": number(20, 0, 100),
    "fs/file-max": value("9223372036854775807"),
    "fs/file-nr": value("1024\t0\t9223372036854775807"),
    "fs/nr_open": value("1048576"),
    "fs/pipe-max-size": value("1048576"),
    "fs/protected_hardlinks": value("0"),
    "fs/protected_symlinks": value("0"),
    "fs/suid_dumpable": value("0"),
    "fs/aio-max-nr": value("65536"),
    "fs/inotify/max_queued_events": value("16384"),
    "fs/inotify/max_user_instances": value("128"),
    "fs/inotify/max_user_watches": value("65536"),
    "fs/mqueue/msg_max": value("10"),
    "net/core/somaxconn": value("4096"),
    "net/core/rmem_max": value("212992"),
    "net/core/wmem_max": value("212992"),
    "net/core/rmem_default": value("212992"),
    "net/core/wmem_default": value("212992"),
    "net/ipv4/ip_local_port_range": value("32768\t60999"),
    "net/ipv4/ip_forward": value("0"),
    "net/ipv4/ip_unprivileged_port_start": number(0, 0, 65535),
    "net/ipv4/tcp_keepalive_time": value("7200"),
    "net/ipv4/tcp_syncookies": value("1"),
    "net/ipv4/ping_group_range": value("0\t2147483647"),
    "net/ipv4/conf/all/forwarding": value("0"),
    "net/ipv6/conf/all/disable_ipv6": value("1"),
    "net/unix/max_dgram_qlen": value("512"),
  };
}

/** The directory `sys`. */
export function sysctl(fs: VirtualFs, system: SystemInfo): FixedDirectory {
  const root = new FixedDirectory(fs);
  const texts = parameters(system);
  for (const [path, text] of Object.entries(system.sysctls ?? {})) texts[path] = value(text);
  for (const [path, text] of Object.entries(texts)) root.addText(path, text);
  return root;
}
