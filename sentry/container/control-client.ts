import { Socket } from "node:net";
import { ECONNREFUSED, ENOENT, Errno } from "../abi/errno.ts";
import { close } from "../host/io.ts";
import { connectUnix, sendWithDescriptors } from "../host/unix-stream.ts";
import { encodeFrame, FrameReader, type Reply, type Request } from "./control-protocol.ts";
import { ContainerError } from "./errors.ts";

/** A conversation with the sentry of a running container; see control-protocol.ts. */
export class ControlClient {
  private readonly fd: number;
  private readonly socket: Socket;
  private readonly reader = new FrameReader();
  private readonly arrived: Reply[] = [];
  private readonly waiting: ((reply: Reply | undefined) => void)[] = [];
  private ended = false;

  private constructor(fd: number) {
    this.fd = fd;
    this.socket = new Socket({ fd, readable: true, writable: true });
    this.socket.on("data", (bytes) => this.take(bytes));
    this.socket.on("error", () => this.end());
    this.socket.on("close", () => this.end());
  }

  /**
   * Connects and asks the first question.
   * @param path the control socket.
   * @param descriptors sent along; they stay the caller's.
   * @throws {ContainerError} `CONTAINER_NOT_RUNNING` when nobody listens.
   */
  static ask(path: string, request: Request, descriptors: readonly number[] = []): ControlClient {
    const fd = connectUnix(path);
    if (fd === ENOENT || fd === ECONNREFUSED) {
      throw new ContainerError("CONTAINER_NOT_RUNNING", "The container is not running");
    }
    if (fd instanceof Errno) {
      throw new ContainerError("CONTROL_FAILED", `Connecting to ${path} failed: ${fd.text}`);
    }
    try {
      sendFrame(fd, request, descriptors);
    } catch (error) {
      close(fd);
      throw error;
    }
    return new ControlClient(fd);
  }

  send(request: Request): void {
    this.socket.write(encodeFrame(request));
  }

  /**
   * Asks a further question with descriptors, which stay the caller's. The one before has been answered.
   * @throws {ContainerError} `CONTROL_FAILED` when the other side does not take it.
   */
  request(request: Request, descriptors: readonly number[] = []): void {
    sendFrame(this.fd, request, descriptors);
  }

  /** The next answer; undefined when the sentry has gone away. */
  next(): Promise<Reply | undefined> {
    const reply = this.arrived.shift();
    if (reply !== undefined || this.ended) return Promise.resolve(reply);
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  close(): void {
    this.socket.destroy();
  }

  private take(bytes: Uint8Array): void {
    const messages = this.reader.push(bytes);
    if (typeof messages === "string") {
      this.socket.destroy();
      return;
    }
    for (const message of messages) {
      const resolve = this.waiting.shift();
      if (resolve === undefined) this.arrived.push(message as Reply);
      else resolve(message as Reply);
    }
  }

  private end(): void {
    this.ended = true;
    for (const resolve of this.waiting.splice(0)) resolve(undefined);
  }
}

function sendFrame(fd: number, request: Request, descriptors: readonly number[]): void {
  let frame = encodeFrame(request);
  let along = descriptors;
  while (frame.length > 0) {
    const sent = sendWithDescriptors(fd, frame, along);
    if (sent instanceof Errno) {
      throw new ContainerError("CONTROL_FAILED", `Asking the container failed: ${sent.text}`);
    }
    frame = frame.subarray(sent);
    along = [];
  }
}
