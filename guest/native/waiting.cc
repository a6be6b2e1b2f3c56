#include "guest/native/waiting.h"

#include "guest/native/context.h"

extern "C" {
[[gnu::visibility("hidden")]] long dd_wait_call(const dd::native::HostCall* call,
                                                const uint32_t* kicked);
}

namespace dd::native {

long WaitFor(Thread* thread, const HostCall& call) {
  for (;;) {
    thread->kicked = 0;
    if (std::atomic_ref(thread->slot->attention).load() != 0) return -kEintr;
    LetKicksIn(thread, true);
    const long result = dd_wait_call(&call, &thread->kicked);
    LetKicksIn(thread, false);
    if (result != -kEintr) return result;
  }
}

}  // namespace dd::native
