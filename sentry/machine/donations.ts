import { EAGAIN, EINVAL, EPERM } from "../abi/errno.ts";
import type { AddressSpace, Executor } from "./address-space.ts";
import type { Launcher, Notification } from "./launcher.ts";
import type { Promises } from "./promises.ts";

/** Gives executors the descriptors they ask for by the designated call. Who gets EAGAIN's nothing asks again. */
export class Donations {
  readonly #launcher: () => Launcher;
  readonly #promises: Promises;

  constructor(launcher: () => Launcher, promises: Promises) {
    this.#launcher = launcher;
    this.#promises = promises;
  }

  /** Its own ring, to the process of a fork. */
  ring(note: Notification, space: AddressSpace): void {
    const launcher = this.#launcher();
    const error = space.ringFd < 0 ? EPERM : launcher.donate(note, space.ringFd);
    if (error === EAGAIN) return;
    if (error !== undefined) launcher.reply(note, error);
    space.closeRingFd();
  }

  /** What was promised to a thread of `executor`, the slot of which the notification says. */
  file(note: Notification, executor: Executor | undefined): void {
    const launcher = this.#launcher();
    const thread = executor?.space.thread(Number(note.token));
    const fd = thread === undefined ? undefined : this.#promises.of(thread);
    if (thread === undefined || fd === undefined || thread.executor !== executor) {
      launcher.reply(note, EINVAL);
      return;
    }
    const error = launcher.donate(note, fd);
    if (error === EAGAIN) return;
    if (error !== undefined) launcher.reply(note, error);
    this.#promises.keep(thread);
  }
}
