// How the processes of a container give up everything, stage by stage. Each stage either succeeds
// completely or returns the exact step that failed; then the caller must report it and exit, never
// continue. The order is explained in docs/profiles.md.
//
//   sentry              launcher program
//   start "prepare" --> PrepareNamespaces    user and mount namespace, empty root; then exits
//        <-- kPrepared, two descriptors
//   confine itself (Landlock: from here on no mount can be changed by it or its children)
//   start "launch"  --> EnterUserNamespace   and exec of itself as "confined"
//                       ConfineLauncher      other namespaces, first process, limits, privileges
//        <-- kStarted, host pid; kListening, seccomp listener
//                       fork per guest exec; in the child, once all is mapped:
//                       ConfineExecutor      Landlock domain, speculation, descriptors, filter
#ifndef DD_GUEST_CONFINE_CONFINE_H_
#define DD_GUEST_CONFINE_CONFINE_H_

#include <span>

#include "guest/confine/confinement.h"
#include "guest/confine/failure.h"
#include "guest/confine/report.h"

namespace dd::confine {

// Makes the container's user and mount namespace, empties the latter and sends descriptors of both
// over `control`. Must run outside of every Landlock domain, in a process of one thread, with /proc
// mounted.
Failure PrepareNamespaces(const Confinement& confinement, int control);

// Enters the prepared user namespace as its root and executes this same program again with `argv`
// and an empty environment: only memory that was set up inside the namespace can later be closed to
// tracing by strangers and yet be read by the sentry, the namespace's owner. Returns only on
// failure.
Failure EnterUserNamespace(const Confinement& confinement, int user_namespace, char* const argv[]);

// Completes the launcher: returns, in the first process of a new pid namespace and a child of the
// sentry, with no privilege and only `control` and `keep` (sorted, all above `control`) open. The
// calling process ends; kStarted and kListening are sent on the way.
Failure ConfineLauncher(const Confinement& confinement, int control, int mount_namespace,
                        std::span<const int> keep);

// Confines an executor, a fork of the launcher: the last host calls that it makes outside of the
// stub page. The SIGSYS handler, alternate stack and all mappings must be in place; every
// descriptor outside of the window is closed, whatever the outcome.
Failure ConfineExecutor(const Confinement& confinement);

}  // namespace dd::confine

#endif  // DD_GUEST_CONFINE_CONFINE_H_
