/** Message queues of System V. See msgop(2). */
import { E2BIG, EAGAIN, ENOMSG, type Errno } from "../abi/errno.ts";
import { IPC_NOWAIT, type IpcCreation, IpcObject, IpcTable, ipcNow } from "./object.ts";

/** MSGMAX, MSGMNB, MSGMNI: Linux's defaults. */
export const MESSAGE_MAX = 8192;
export const QUEUE_BYTES = 16_384;
const QUEUES = 32_000;

const MSG_NOERROR = 0o10000;
const MSG_EXCEPT = 0o20000;
const MSG_COPY = 0o40000;

export interface Message {
  readonly type: number;
  readonly text: Uint8Array;
}

export class MessageQueue extends IpcObject {
  readonly messages: Message[] = [];
  bytes = 0;
  /** The most bytes, and the most messages, it holds. */
  limit = QUEUE_BYTES;
  stime = 0;
  rtime = 0;
  lspid = 0;
  lrpid = 0;

  constructor(creation: IpcCreation) {
    super(creation);
  }

  /** @returns `EAGAIN` when there is no room. */
  send(message: Message, pid: number): Errno | undefined {
    const { length } = message.text;
    if (this.bytes + length > this.limit || this.messages.length >= this.limit) return EAGAIN;
    this.messages.push(message);
    this.bytes += length;
    this.stime = ipcNow();
    this.lspid = pid;
    this.changed();
    return undefined;
  }

  /**
   * Takes the message that msgrcv(2) means by `type` and `flags`, at most `room` bytes of it.
   * @returns `EAGAIN` when there is none (`ENOMSG` for whoever does not wait), `E2BIG`.
   */
  receive(room: number, type: number, flags: number, pid: number): Message | Errno {
    const index = this.#find(type, flags);
    const message = this.messages[index];
    if (message === undefined) return (flags & IPC_NOWAIT) !== 0 ? ENOMSG : EAGAIN;
    const { text } = message;
    if (text.length > room && (flags & MSG_NOERROR) === 0) return E2BIG;
    if ((flags & MSG_COPY) === 0) {
      this.messages.splice(index, 1);
      this.bytes -= text.length;
      this.rtime = ipcNow();
      this.lrpid = pid;
      this.changed();
    }
    return { type: message.type, text: text.subarray(0, room) };
  }

  #find(type: number, flags: number): number {
    const { messages } = this;
    if ((flags & MSG_COPY) !== 0) return type;
    if (type === 0) return 0;
    if (type > 0) {
      const except = (flags & MSG_EXCEPT) !== 0;
      return messages.findIndex((message) => (message.type === type) !== except);
    }
    let lowest = -1;
    let bound = -type;
    for (const [i, message] of messages.entries()) {
      if (message.type > bound || (lowest >= 0 && message.type === bound)) continue;
      lowest = i;
      bound = message.type;
    }
    return lowest;
  }
}

export class MessageTable extends IpcTable<MessageQueue> {
  constructor() {
    super(QUEUES);
  }

  /** See msgget(2). */
  getQueue(creation: Omit<IpcCreation, "id" | "mode">, flags: number): number | Errno {
    return this.get(
      creation,
      flags,
      () => undefined,
      (parts) => new MessageQueue(parts),
    );
  }
}
