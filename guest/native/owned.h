// Which addresses are the guest's. Everything else in the address space is the runtime's or, in
// trusted mode, Node's: the guest's memory calls do not touch it, and /proc does not show it. In
// one address space that keeps honest programs from harm; it is no boundary.
#pragma once

#include "guest/native/abi.h"
#include "ring/layout.h"
#include "ring/protocol.h"

namespace dd::native {

// The guest's ranges by address, without overlaps. Shared by the threads of an address space.
struct Owned {
  ring::OwnedHeader header;
  ring::OwnedRange ranges[ring::kOwnedLimit];
};

// Memory for a table; null when the host has none. It costs what is used of it.
Owned* MakeOwned();

void Lock(Owned* owned);
void Unlock(Owned* owned);

// The rest is for whoever holds the lock.

// Whether any call may split ranges: each needs room for a few more.
bool HasRoom(const Owned* owned);

// The range that begins or contains the first of the guest's addresses at or after `addr`; null if
// none.
const ring::OwnedRange* FindFrom(const Owned* owned, uint64_t addr);

// Whether all, or any, of [begin, end) is the guest's.
bool OwnsAll(const Owned* owned, uint64_t begin, uint64_t end);
bool OwnsAny(const Owned* owned, uint64_t begin, uint64_t end);

// [begin, end) is, or is no more, the guest's.
void Own(Owned* owned, uint64_t begin, uint64_t end, uint32_t tag, uint64_t offset);
void Disown(Owned* owned, uint64_t begin, uint64_t end);

}  // namespace dd::native
