// Generated from profiles/linux/layout.ts, steps.ts and constants.ts; do not edit.
// clang-format off
#ifndef DD_GUEST_CONFINE_CONFINEMENT_LAYOUT_H_
#define DD_GUEST_CONFINE_CONFINEMENT_LAYOUT_H_

#include <cstddef>
#include <cstdint>

namespace dd::confine {

inline constexpr uint32_t kConfinementMagic = 0x46436464;
inline constexpr uint32_t kConfinementVersion = 1;
inline constexpr size_t kLimitsMax = 16;
inline constexpr size_t kNotifyFilterMax = 16;
inline constexpr size_t kExecutorFilterMax = 512;

// clone(2) flags that the executor's filter lets pass, by equality.
inline constexpr unsigned long kCloneFlagsThread = 0x3d0f00;
inline constexpr unsigned long kCloneFlagsFork = 0x11;
inline constexpr unsigned long kCloneFlagsForkToLauncher = 0x8011;
inline constexpr unsigned long kCloneFlagsVforkToLauncher = 0xc111;

// Descriptor numbers into which the sentry donates regular files.
inline constexpr int kWindowFirst = 16;
inline constexpr int kWindowLast = 79;

// The designated call (nfsservctl) by which an executor reaches the seccomp listener.
#if defined(__x86_64__)
inline constexpr long kNotifyCall = 180;
#elif defined(__aarch64__)
inline constexpr long kNotifyCall = 42;
#endif

// The step that failed; see profiles/linux/steps.ts for what each does.
enum class Step : uint32_t {
  kNone = 0,
  kConfinement = 1,
  kUserNamespace = 2,
  kUserMap = 3,
  kUserNamespaceLimit = 4,
  kMountNamespace = 5,
  kRoot = 6,
  kHandshake = 7,
  kRestart = 8,
  kNamespaces = 9,
  kFork = 10,
  kIdentity = 11,
  kDescriptors = 12,
  kLimits = 13,
  kParentDeath = 14,
  kDumpable = 15,
  kCapabilities = 16,
  kNoNewPrivileges = 17,
  kNotifyFilter = 18,
  kLandlock = 19,
  kSpeculation = 20,
  kSeccomp = 21,
  kSentry = 22,
};

enum class ReportKind : uint32_t {
  kFailed = 0,
  kPrepared = 1,
  kStarted = 2,
  kListening = 3,
};

// A message of the launcher to the sentry.
struct Report {
  ReportKind kind;
  Step step;
  int32_t error;
  int32_t pid;
};
static_assert(sizeof(Report) == 16);

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
  uint32_t magic;  // kConfinementMagic
  uint32_t version;  // kConfinementVersion
  uint32_t size;  // sizeof(Confinement)
  uint32_t host_uid;  // What user 0 of the namespace is outside; never 0
  uint32_t host_gid;  // What group 0 of the namespace is outside; never 0
  uint32_t outer_namespaces;  // CLONE_NEW* made by PrepareNamespaces
  uint32_t inner_namespaces;  // CLONE_NEW* made by ConfineLauncher
  uint32_t landlock_abi;  // The oldest Landlock ABI that will do
  uint64_t landlock_filesystem;  // handled_access_fs
  uint64_t landlock_network;  // handled_access_net
  uint64_t landlock_scoped;  // scoped
  uint32_t speculation;  // Bit n: disable PR_SET_SPECULATION_CTRL control n
  uint32_t notify_call;  // Number of the designated call
  uint32_t window_first;  // First descriptor number for donated files
  uint32_t window_last;  // Last descriptor number for donated files
  uint32_t limit_count;  // Items used in limits
  uint32_t notify_filter_length;  // Items used in notify_filter
  uint32_t executor_filter_length;  // Items used in executor_filter
  uint32_t stub_high_at;  // Instruction of executor_filter with the upper half of the stub's address
  uint32_t stub_start_at;  // The one with the lower half of its start
  uint32_t stub_end_at;  // The one with the lower half of its end
  ConfinementLimit limits[16];  // setrlimit(2), soft = hard
  ConfinementInstruction notify_filter[16];  // Gives the launcher the listener
  ConfinementInstruction executor_filter[512];  // The allow-list
};
static_assert(offsetof(Confinement, magic) == 0);
static_assert(offsetof(Confinement, version) == 4);
static_assert(offsetof(Confinement, size) == 8);
static_assert(offsetof(Confinement, host_uid) == 12);
static_assert(offsetof(Confinement, host_gid) == 16);
static_assert(offsetof(Confinement, outer_namespaces) == 20);
static_assert(offsetof(Confinement, inner_namespaces) == 24);
static_assert(offsetof(Confinement, landlock_abi) == 28);
static_assert(offsetof(Confinement, landlock_filesystem) == 32);
static_assert(offsetof(Confinement, landlock_network) == 40);
static_assert(offsetof(Confinement, landlock_scoped) == 48);
static_assert(offsetof(Confinement, speculation) == 56);
static_assert(offsetof(Confinement, notify_call) == 60);
static_assert(offsetof(Confinement, window_first) == 64);
static_assert(offsetof(Confinement, window_last) == 68);
static_assert(offsetof(Confinement, limit_count) == 72);
static_assert(offsetof(Confinement, notify_filter_length) == 76);
static_assert(offsetof(Confinement, executor_filter_length) == 80);
static_assert(offsetof(Confinement, stub_high_at) == 84);
static_assert(offsetof(Confinement, stub_start_at) == 88);
static_assert(offsetof(Confinement, stub_end_at) == 92);
static_assert(offsetof(Confinement, limits) == 96);
static_assert(offsetof(Confinement, notify_filter) == 352);
static_assert(offsetof(Confinement, executor_filter) == 480);
static_assert(sizeof(Confinement) == 4576);

}  // namespace dd::confine

#endif  // DD_GUEST_CONFINE_CONFINEMENT_LAYOUT_H_
