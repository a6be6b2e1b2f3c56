import { DESCRIPTOR_WINDOW, NOTIFY_CALL } from "../constants.ts";
import { int, isBetween, type Rule } from "../model.ts";

/** How an executor gets descriptors, and gives them back. */
export const descriptorRules: readonly Rule[] = [
  {
    name: "notify",
    why:
      "The designated call: it has no effect in the kernel but to wake the sentry, which learns the " +
      "caller's process from the kernel and may donate a descriptor.",
    calls: [{ call: NOTIFY_CALL, when: [] }],
  },
  {
    name: "close",
    why: "A donated descriptor is given back once it is mapped; only the caller's own descriptors.",
    calls: [
      {
        call: "close",
        when: [isBetween(int(0, "fd"), DESCRIPTOR_WINDOW.first, DESCRIPTOR_WINDOW.last)],
      },
    ],
  },
];
