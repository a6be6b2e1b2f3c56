/** `count` CPUs from `first` on as the kernel prints masks: groups of eight digits, as `ff,ffffffff`. */
export function cpuMask(count: number, first = 0): string {
  const digits = (((1n << BigInt(count)) - 1n) << BigInt(first)).toString(16);
  const words: string[] = [];
  for (let end = digits.length; end > 0; end -= 8) {
    words.unshift(digits.slice(Math.max(0, end - 8), end));
  }
  return words.join(",");
}
