/** Values that are told one after the other, to be read as they come. */
export class Messages<T> implements AsyncIterable<T> {
  readonly #unread: T[] = [];
  #wake: () => void = () => {};
  #ended = false;
  #error: { readonly reason: unknown } | undefined;

  tell(value: T): void {
    this.#unread.push(value);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  fail(reason: unknown): void {
    this.#error = { reason };
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    for (;;) {
      const value = this.#unread.shift();
      if (value !== undefined) yield value;
      else if (this.#error !== undefined) throw this.#error.reason;
      else if (this.#ended) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
