import { native } from "../../ring/native.ts";
import { HOST_ISA } from "../host/isa.ts";
import type { HostAuxv } from "../kernel/machine.ts";
import { PLATFORMS } from "./launcher.ts";

/** What a program on a thread of this very process is told of the host. `vdso` is asked per program. */
export function hostedAuxv(vdso: (hosts: number, fixed: boolean) => number): HostAuxv {
  const facts = native.hostedAuxv();
  return {
    isa: HOST_ISA,
    hwcap: facts.hwcap,
    hwcap2: facts.hwcap2,
    minsigstksz: Number(facts.minsigstksz),
    clockTick: Number(facts.clockTick),
    pageSize: 4096,
    platform: PLATFORMS[HOST_ISA],
    vdso: (fixed) => vdso(Number(facts.vdso), fixed),
  };
}
