import type { Profile } from "./model.ts";
import { executorBarriers } from "./rules/barriers.ts";
import { descriptorRules } from "./rules/descriptors.ts";
import { memoryRules } from "./rules/memory.ts";
import { sentryBarriers, sentryRules } from "./rules/sentry.ts";
import { signalRules } from "./rules/signals.ts";
import { taskRules } from "./rules/tasks.ts";

/** The process that holds guest code: hostile from its first guest instruction on. */
export const executorProfile: Profile = {
  name: "executor",
  title: "guest executor",
  // The filter tests the calls in this order: the frequent ones come first.
  rules: [...taskRules, ...signalRules, ...memoryRules, ...descriptorRules],
  barriers: executorBarriers,
};

/** The process that answers guest calls: trusted, and confined all the same. */
export const sentryProfile: Profile = {
  name: "sentry",
  title: "sentry",
  rules: sentryRules,
  barriers: sentryBarriers,
};
