import {
  CLONE_FLAGS_FORK,
  CLONE_FLAGS_FORK_TO_LAUNCHER,
  CLONE_FLAGS_THREAD,
  CLONE_FLAGS_VFORK_TO_LAUNCHER,
  DESCRIPTOR_WINDOW,
  NOTIFY_CALL,
} from "../constants.ts";
import {
  CONFINEMENT_FIELDS,
  CONFINEMENT_MAGIC,
  CONFINEMENT_OFFSETS,
  CONFINEMENT_SIZE,
  CONFINEMENT_VERSION,
  EXECUTOR_FILTER_MAX,
  LIMITS_MAX,
  NOTIFY_FILTER_MAX,
} from "./layout.ts";
import { REPORT_KINDS, REPORT_SIZE } from "./report.ts";
import { numberOf } from "./seccomp.ts";
import { STEPS } from "./steps.ts";

const TYPES = {
  u32: "uint32_t",
  u64: "uint64_t",
  limit: "ConfinementLimit",
  instruction: "ConfinementInstruction",
} as const;

/** The text of `guest/confine/confinement_layout.h`, which is committed and compared by a test. */
export function layoutHeader(): string {
  const fields = CONFINEMENT_FIELDS.map(({ name, type, count, comment }) => {
    const size = count === 1 ? "" : `[${count}]`;
    return `  ${TYPES[type]} ${name}${size};  // ${comment}`;
  });
  const checks = CONFINEMENT_FIELDS.map(
    ({ name }) => `static_assert(offsetof(Confinement, ${name}) == ${CONFINEMENT_OFFSETS[name]});`,
  );
  return `// Generated from profiles/linux/layout.ts, steps.ts and constants.ts; do not edit.
// clang-format off
#ifndef DD_GUEST_CONFINE_CONFINEMENT_LAYOUT_H_
#define DD_GUEST_CONFINE_CONFINEMENT_LAYOUT_H_

#include <cstddef>
#include <cstdint>

namespace dd::confine {

inline constexpr uint32_t kConfinementMagic = 0x${CONFINEMENT_MAGIC.toString(16)};
inline constexpr uint32_t kConfinementVersion = ${CONFINEMENT_VERSION};
inline constexpr size_t kLimitsMax = ${LIMITS_MAX};
inline constexpr size_t kNotifyFilterMax = ${NOTIFY_FILTER_MAX};
inline constexpr size_t kExecutorFilterMax = ${EXECUTOR_FILTER_MAX};

// clone(2) flags that the executor's filter lets pass, by equality.
inline constexpr unsigned long kCloneFlagsThread = 0x${CLONE_FLAGS_THREAD.toString(16)};
inline constexpr unsigned long kCloneFlagsFork = 0x${CLONE_FLAGS_FORK.toString(16)};
inline constexpr unsigned long kCloneFlagsForkToLauncher = 0x${CLONE_FLAGS_FORK_TO_LAUNCHER.toString(16)};
inline constexpr unsigned long kCloneFlagsVforkToLauncher = 0x${CLONE_FLAGS_VFORK_TO_LAUNCHER.toString(16)};

// Descriptor numbers into which the sentry donates regular files.
inline constexpr int kWindowFirst = ${DESCRIPTOR_WINDOW.first};
inline constexpr int kWindowLast = ${DESCRIPTOR_WINDOW.last};

// The designated call (${NOTIFY_CALL}) by which an executor reaches the seccomp listener.
#if defined(__x86_64__)
inline constexpr long kNotifyCall = ${numberOf(NOTIFY_CALL, "x86_64")};
#elif defined(__aarch64__)
inline constexpr long kNotifyCall = ${numberOf(NOTIFY_CALL, "arm64")};
#endif

// The step that failed; see profiles/linux/steps.ts for what each does.
enum class Step : uint32_t {
${STEPS.map(({ name }, at) => `  ${enumerator(name)} = ${at},`).join("\n")}
};

enum class ReportKind : uint32_t {
${REPORT_KINDS.map((name, at) => `  ${enumerator(name)} = ${at},`).join("\n")}
};

// A message of the launcher to the sentry.
struct Report {
  ReportKind kind;
  Step step;
  int32_t error;
  int32_t pid;
};
static_assert(sizeof(Report) == ${REPORT_SIZE});

struct ConfinementLimit {
  uint32_t resource;
  uint32_t reserved;
  uint64_t value;
};
static_assert(sizeof(ConfinementLimit) == 16);

// The layout of struct sock_filter.
struct ConfinementInstruction {
  uint16_t code;
  uint8_t jt;
  uint8_t jf;
  uint32_t k;
};
static_assert(sizeof(ConfinementInstruction) == 8);

struct Confinement {
${fields.join("\n")}
};
${checks.join("\n")}
static_assert(sizeof(Confinement) == ${CONFINEMENT_SIZE});

}  // namespace dd::confine

#endif  // DD_GUEST_CONFINE_CONFINEMENT_LAYOUT_H_
`;
}

function enumerator(name: string): string {
  return `k${name.replace(/(^|-)([a-z])/g, (_all, _dash: string, letter: string) => letter.toUpperCase())}`;
}
