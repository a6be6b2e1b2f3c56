import { randomBytes, randomInt } from "node:crypto";
import { ContainerError } from "./errors.ts";

const QUALITIES =
  `able agile amber ample bold brave breezy bright brisk calm candid civil clear clever cosmic crisp
  curious daring deft eager early earnest easy fair fleet fond frank free fresh gentle glad golden grand
  happy hardy honest humble jolly keen kind lively loyal lucid lucky mellow merry mild modest neat nimble
  noble patient placid plain polite prompt proud quick quiet rapid ready robust royal serene sharp silent
  sincere smart snug solid spry stable steady sturdy subtle sunny swift tidy trusty upbeat vivid warm wise
  witty zesty`.split(/\s+/);

const THINGS =
  `acorn anchor apple arbor aspen badger barge basil beacon birch bison breeze brook canyon cedar clover
  comet coral crane creek cricket daisy delta dolphin dune eagle ember falcon fern finch fjord gale gecko
  glade grove harbor hazel heron hill iris island ivy jay juniper kite lagoon lantern lark laurel ledge
  lily lotus lynx maple marten meadow mesa moss nectar oak oasis orchid otter owl pebble pine planet plum
  pond poppy prairie quail quartz raven reef ridge river robin sable sage seal shore sparrow spruce stork
  summit swallow thicket thistle tide tulip valley violet walnut willow wren`.split(/\s+/);

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const NAME_LENGTH_MAX = 128;

/** A fresh container id: 64 hexadecimal digits. */
export function randomId(): string {
  return randomBytes(32).toString("hex");
}

/** A name easy to say. @param again after a clash: with a number, so that one is found. */
export function randomName(again: boolean): string {
  const pick = (words: readonly string[]) => words[randomInt(words.length)];
  return `${pick(QUALITIES)}_${pick(THINGS)}${again ? randomInt(10_000) : ""}`;
}

/** @throws {ContainerError} `INVALID_NAME` unless docker would take `name` for a container or a volume. */
export function checkName(kind: "container" | "volume", name: string): void {
  if (NAME.test(name) && name.length <= NAME_LENGTH_MAX) return;
  throw new ContainerError(
    "INVALID_NAME",
    `Invalid ${kind} name "${name}"`,
    `A name has 2 to ${NAME_LENGTH_MAX} letters, digits, "_", "." and "-" and begins with a letter or digit`,
  );
}
