// The direct plane of trusted mode: see docs/trusted.md.
#pragma once

#include "guest/native/thread.h"

namespace dd::native {

// The lease of guest descriptor `fd` of the calling process, asked for at its second use. What is
// behind it may have been closed meanwhile by another thread: a call on it then fails, and goes to
// the sentry.
Lease LeaseOf(Thread* thread, uint64_t fd);

// The descriptor of a lease that is kHeld or more.
long Leased(uint64_t fd);

// A call of the runtime itself. Does not return when the process has been ended meanwhile.
Reply RuntimeRequest(Thread* thread, ring::RuntimeCall call, const uint64_t args[6]);

// As ForwardCall, for calls that never wait and make no task.
long Forwarded(Thread* thread, long nr, const uint64_t args[6]);

// epoll(7) and poll(2), on descriptors that are lent; kNotHere if they are not.
long DirectEpollControl(Thread* thread, const uint64_t args[6]);
long DirectEpollWait(Thread* thread, long nr, const uint64_t args[6]);
long DirectPoll(Thread* thread, const uint64_t args[6]);

}  // namespace dd::native
