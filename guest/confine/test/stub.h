// The page that holds the only system call instructions which the filter lets through; x86-64.
#ifndef DD_GUEST_CONFINE_TEST_STUB_H_
#define DD_GUEST_CONFINE_TEST_STUB_H_

#include <cstdint>

#include "guest/confine/confinement.h"
#include "guest/confine/test/shared.h"

namespace dd::confine::test {

using Caller = long (*)(long number, long a, long b, long c, long d, long e, long f);

struct Stub {
  Caller call;
  // Enters the kernel by int 0x80: the 32-bit ABI.
  long (*call_wrong_arch)(long number);
  // Where signal handlers return to.
  uint64_t restorer;
};

// Maps and fills a page and tells the filter of it. All are null when that is not possible.
Stub MapStub(Confinement* confinement);

// The same call from ordinary code, outside of the page.
long CallOutside(long number, long a, long b, long c, long d, long e, long f);

// Counts traps on the board and makes the trapped call return -ENOSYS.
bool CatchTraps(const Stub& stub, Board* board);

}  // namespace dd::confine::test

#endif  // DD_GUEST_CONFINE_TEST_STUB_H_
