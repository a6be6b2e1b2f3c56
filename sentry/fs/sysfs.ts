import type { ByteString } from "../abi/bytes.ts";
import { FileSystem, type Inode, type Statfs } from "../vfs/inode.ts";
import type { SystemInfo } from "./proc/info.ts";
import { InterfacesDirectory, type NetworkInfo } from "./proc/network.ts";
import { cpuMask } from "./virtual/cpu-mask.ts";
import { FixedDirectory, type VirtualFs } from "./virtual/nodes.ts";

const SYSFS_MAGIC = 0x62656572;

/** The little of `/sys` that programs look for: how many processors there are, and what is not there. */
export class SysFs extends FileSystem implements VirtualFs {
  readonly type = "sysfs";
  readonly root: Inode;
  readonly timeNs: bigint;
  #nextIno = 1;

  constructor(
    system: Pick<SystemInfo, "cpuCount" | "bootTimeNs"> & { readonly network?: NetworkInfo },
  ) {
    super();
    this.timeNs = system.bootTimeNs;
    const root = new FixedDirectory(this);
    for (const path of ["block", "bus", "class/block", "dev", "firmware", "module"]) {
      root.directory(path);
    }
    root.directory("class").add("net", new InterfacesDirectory(this, system.network));
    root.directory("fs/cgroup");
    const cpus = system.cpuCount === 1 ? "0" : `0-${system.cpuCount - 1}`;
    const text = (path: ByteString, value: ByteString) =>
      root.addText(path, { read: () => `${value}\n` });
    for (const name of ["online", "possible", "present"]) {
      text(`devices/system/cpu/${name}`, cpus);
    }
    text("devices/system/cpu/offline", "");
    text("devices/system/cpu/kernel_max", "8191");
    for (let cpu = 0; cpu < system.cpuCount; cpu++) {
      const at = `devices/system/cpu/cpu${cpu}`;
      text(`${at}/online`, "1");
      text(`${at}/topology/core_id`, String(cpu));
      text(`${at}/topology/physical_package_id`, "0");
      for (const name of ["thread_siblings", "core_cpus"]) {
        text(`${at}/topology/${name}`, cpuMask(1, cpu));
        text(`${at}/topology/${name}_list`, String(cpu));
      }
      for (const name of ["core_siblings", "package_cpus"]) {
        text(`${at}/topology/${name}`, cpuMask(system.cpuCount));
        text(`${at}/topology/${name}_list`, cpus);
      }
    }
    text("devices/system/node/online", "0");
    text("devices/system/node/possible", "0");
    text("devices/system/node/has_cpu", "0");
    text("devices/system/node/node0/cpulist", cpus);
    text("devices/system/node/node0/cpumap", cpuMask(system.cpuCount));
    text("devices/system/node/node0/distance", "10");
    text("kernel/mm/transparent_hugepage/enabled", "always [madvise] never");
    text("kernel/mm/transparent_hugepage/hpage_pmd_size", "2097152");
    this.root = root;
  }

  nextIno(): number {
    return this.#nextIno++;
  }

  statfs(): Statfs {
    const none = { blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0 };
    return { type: SYSFS_MAGIC, bsize: 4096, ...none };
  }
}
