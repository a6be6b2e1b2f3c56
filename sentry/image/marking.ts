import { setFlagsFromString } from "node:v8";

let running = 0;

/**
 * Does work that goes through many large buffers. For each few of them V8 marks what lives, by default piece by
 * piece and on other threads: with one core that takes nearly as long as the work. Here it marks all at once,
 * which takes milliseconds for a program as small as ours.
 */
export async function markingAtOnce<T>(work: () => Promise<T>): Promise<T> {
  if (running++ === 0) setFlagsFromString("--no-incremental-marking");
  try {
    return await work();
  } finally {
    if (--running === 0) setFlagsFromString("--incremental-marking");
  }
}
