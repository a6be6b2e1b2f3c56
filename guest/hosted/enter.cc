#include "guest/hosted/enter.h"

#include "guest/confine/confinement_layout.h"
#include "guest/native/intercept.h"

extern "C" {
[[gnu::visibility("hidden")]] extern const char dd_stub_start[];
[[gnu::visibility("hidden")]] extern const char dd_stub_end[];
}

namespace dd::hosted {
namespace {

// While descriptors are sorted: above everything that is to stay.
constexpr int kAbove = 256;

uint64_t Address(const void* p) { return reinterpret_cast<uint64_t>(p); }

}  // namespace

void Enter(native::Thread* thread) {
  constexpr long kCloneFiles = 0x400;
  constexpr long kDupfd = 0;
  auto* guest = static_cast<Guest*>(const_cast<void*>(thread->entry_argument));
  native::Start& start = guest->start;
  long error = native::Host(native::kUnshare, kCloneFiles);
  if (error != 0) native::Die(80);
  const long life = native::Host(native::kFcntl, guest->life_fd, kDupfd, kAbove);
  for (uint32_t i = 0; i < start.file_count; i++) {
    guest->files[i] =
        static_cast<int>(native::Host(native::kFcntl, guest->files[i], kDupfd, kAbove));
  }
  native::Host(native::kCloseRange, 0, kAbove - 1, 0);
  for (uint32_t i = 0; i < start.file_count; i++) {
    const int target = confine::kWindowFirst + static_cast<int>(i);
    error = native::Host(native::kDup3, guest->files[i], target, 0);
    if (error < 0) native::Die(81);
    guest->files[i] = target;
  }
  if (native::Host(native::kDup3, life, native::kLifeFd, 0) < 0) native::Die(82);
  native::Host(native::kCloseRange, kAbove, ~0U, 0);
  const native::Stack stack{native::StackBottom(thread), 0, 0,
                            native::StackTop(thread) - native::StackBottom(thread)};
  native::Host(native::kSigaltstack, &stack, nullptr);
  thread->entry = nullptr;
  if (native::InstallTrap(Address(dd_stub_start), Address(dd_stub_end)) != 0) native::Die(83);
  native::Run(thread, start);
}

}  // namespace dd::hosted
