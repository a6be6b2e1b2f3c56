import { PlanStep } from "../../ring/layout.ts";
import { EINVAL, type Errno } from "../abi/errno.ts";
import type { ProgramImage } from "../kernel/machine.ts";
import type { Translations } from "../translations/translations.ts";
import type { ExecutorThread } from "./executor-thread.ts";
import { PLAN_TRANSLATIONS, STAGING_SIZE, Verb } from "./protocol.ts";

const PROT_EXEC = 4;
const MAP_PRIVATE = 0x02;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_NORESERVE = 0x4000;
/** Files one image may map; the launcher's `kMaxFiles`. */
const MAX_FILES = 16;

/**
 * The image's mappings as an executor carries them out; `files` gets the descriptors they name.
 * @param translations what there are of the image's files is a part of the plan
 * @returns `EINVAL` for more mappings or files than an executor takes.
 */
export function encodePlan(
  image: ProgramImage,
  files: number[],
  translations?: Translations,
): Uint8Array | Errno {
  const lent = image.mappings.flatMap((mapping) => {
    const { file, prot } = mapping;
    const fd = file && (prot & PROT_EXEC) !== 0 ? translations?.lend(file.backing) : undefined;
    return fd === undefined ? [] : [{ mapping, fd }];
  });
  const bytes = new Uint8Array((image.mappings.length + lent.length) * PlanStep.size);
  if (bytes.length > STAGING_SIZE) return EINVAL;
  const view = new DataView(bytes.buffer);
  const numberOf = (fd: number) => {
    const known = files.indexOf(fd);
    return known < 0 ? files.push(fd) - 1 : known;
  };
  for (const [i, mapping] of image.mappings.entries()) {
    let number = -1;
    let offset = 0;
    let flags = MAP_PRIVATE | MAP_FIXED;
    if (mapping.file === undefined) {
      flags |= MAP_ANONYMOUS | (mapping.stack === true ? MAP_NORESERVE : 0);
    } else {
      const { backing } = mapping.file;
      offset = backing.offset + mapping.file.offset;
      number = numberOf(backing.fd);
      if (files.length > MAX_FILES) return EINVAL;
    }
    const at = i * PlanStep.size;
    view.setBigUint64(at + PlanStep.addr, BigInt(mapping.addr), true);
    view.setBigUint64(at + PlanStep.length, BigInt(mapping.length), true);
    view.setBigUint64(at + PlanStep.offset, BigInt(offset), true);
    view.setUint32(at + PlanStep.prot, mapping.prot, true);
    view.setUint32(at + PlanStep.flags, flags, true);
    view.setInt32(at + PlanStep.fd, number, true);
  }
  for (const [i, { mapping, fd }] of lent.entries()) {
    const at = (image.mappings.length + i) * PlanStep.size;
    view.setBigUint64(at + PlanStep.addr, BigInt(mapping.addr), true);
    view.setBigUint64(at + PlanStep.length, BigInt(mapping.length), true);
    view.setBigUint64(at + PlanStep.offset, BigInt(mapping.file?.offset ?? 0), true);
    view.setUint32(at + PlanStep.flags, PLAN_TRANSLATIONS, true);
    view.setInt32(at + PlanStep.fd, numberOf(fd), true);
    if (files.length > MAX_FILES) return EINVAL;
  }
  return bytes;
}

/**
 * Stores what an image consists of besides files, where an executor has carried out its plan, and has the
 * thread enter the program. @returns what went wrong, in words for the log.
 */
export function enterImage(thread: ExecutorThread, image: ProgramImage): string | undefined {
  const { task } = thread;
  for (const { addr, bytes } of image.contents) {
    const error = thread.memory.copyOut(addr, bytes);
    if (error !== undefined)
      return `Storing ${task.name} at 0x${addr.toString(16)} failed: ${error}`;
  }
  thread.space.owned.begin(thread.frame.u64(0), image.mappings);
  const { entry, stackPointer, brk } = image;
  thread.answer(Verb.enter, 0, [entry, stackPointer, brk, task.process.pid, task.tid]);
  return undefined;
}
