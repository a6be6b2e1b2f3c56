/** Claims about starting: `ddcli run --rm` to exit, whatever the image's size. */
import { DDCLI } from "../test/fixtures/dd.ts";
import { type Claim, main } from "./claim.ts";
import { installed, leave, wallTime } from "./setting.ts";

const START_ROUNDS = 11;

export async function claims(): Promise<readonly Claim[]> {
  const dd = await installed("busybox", "debian");
  const start = (reference: string) =>
    wallTime([process.execPath, DDCLI, "run", "--rm", reference, "/bin/true"], dd.env);
  return [
    {
      claim: "run --rm of the 2 MB image to exit takes at most 2.5 times `node -e 0`",
      unit: "ms",
      rounds: START_ROUNDS,
      pair: {
        dd: () => start("busybox:test"),
        native: () => wallTime([process.execPath, "-e", "0"]),
      },
      holds: (dd, native) => dd <= 2.5 * native,
    },
    {
      claim: "a container of a 400 MB image starts as fast as one of a 2 MB image",
      unit: "ms",
      rounds: START_ROUNDS,
      pair: { dd: () => start("debian:test"), native: () => start("busybox:test") },
      // The larger image's /bin/true is dynamic: its linker's work is natively about 1 ms.
      holds: (large, small) => large <= 1.1 * small,
    },
  ];
}

await main(import.meta.url, claims).finally(leave);
