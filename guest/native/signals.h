// Host signals: how calls, faults and kicks reach the runtime, and how guest handlers are run.
#pragma once

#include "guest/native/thread.h"

namespace dd::native {

// Installs the runtime's handlers for the whole process. Before any filter: rt_sigaction is not
// allowed later. `foreign`: see Environment. 0 or -errno.
long InstallHandlers(uint64_t foreign);

// Runs the guest's pending signals, if the sentry says that there are any, on the guest state in
// `context`. `result` is what the interrupted call returned (a restart code is resolved) and `nr`
// its number; without a call, `nr` is negative. Leaves `context` ready to be resumed.
void FinishCall(Thread* thread, Context* context, long nr, long result);

// rt_sigreturn(2) on the guest's frame at its stack pointer.
void ReturnFromHandler(Thread* thread, Context* context);

// Reports a synchronous signal at the current guest instruction and runs its handler.
// `fatal`: there is no room for the handler's frame, so the default action is taken.
void RaiseFault(Thread* thread, Context* context, int signo, int code, uint64_t addr,
                bool fatal = false);

// Guest signals the thread blocks; only the thread itself changes it.
void SetMask(Thread* thread, uint64_t mask);
uint64_t Mask(const Thread* thread);

}  // namespace dd::native
