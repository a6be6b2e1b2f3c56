#include "guest/hosted/hosted.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/confine/confinement_layout.h"
#include "guest/host/facts.h"
#include "guest/hosted/enter.h"
#include "guest/hosted/forks.h"
#include "guest/native/signals.h"

extern "C" {
[[gnu::visibility("hidden")]] extern const char dd_stub_start[];
[[gnu::visibility("hidden")]] long dd_clone_thread(long flags, uint64_t stack, uint32_t* parent_tid,
                                                   uint32_t* child_tid, uint64_t tls,
                                                   dd::native::Thread* child);
}

namespace dd::hosted {
namespace {

uint64_t Address(const void* p) { return reinterpret_cast<uint64_t>(p); }

// The addresses of the code this very object was loaded to.
void FindText(native::Environment* environment) {
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        auto* found = static_cast<native::Environment*>(data);
        for (int i = 0; i < info->dlpi_phnum; i++) {
          const ElfW(Phdr)& segment = info->dlpi_phdr[i];
          const uint64_t begin = info->dlpi_addr + segment.p_vaddr;
          const uint64_t end = begin + segment.p_memsz;
          if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0 &&
              Address(dd_stub_start) >= begin && Address(dd_stub_start) < end) {
            found->text_begin = begin;
            found->text_end = end;
            return 1;
          }
        }
        return 0;
      },
      environment);
}

}  // namespace

long Start(const Options& options) {
  if (options.files.size() > kMaxFiles) return -EINVAL;
  static const long handlers = native::InstallHandlers(native::kSentrySignals);
  if (handlers != 0) return handlers;
  KeepOutOfForks();
  void* memory =
      mmap(nullptr, sizeof(Guest), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return -errno;
  auto* guest = static_cast<Guest*>(memory);
  native::AddressSpace& space = guest->space;
  native::Environment& environment = space.environment;
  host::FillFacts(&environment);
  FindText(&environment);
  environment.sentry_pid = static_cast<uint32_t>(getpid());
  environment.life_fd = native::kLifeFd;
  environment.foreign_signals = native::kSentrySignals;
  space.owned = native::MakeOwned();
  if (space.owned == nullptr) return -ENOMEM;
  environment.vfork_flags = CLONE_VM | CLONE_VFORK;
  space.ring_base = options.ring_base;
  space.doorbell = options.doorbell;
  space.ring_index = options.ring_index;
  guest->life_fd = options.life_fd;
  guest->start.space = &space;
  guest->start.file_fds = guest->files;
  guest->start.file_count = static_cast<uint32_t>(options.files.size());
  guest->start.step_count = options.step_count;
  std::copy(options.files.begin(), options.files.end(), guest->files);

  native::Thread* thread = native::ThreadForSlot(&space, 0);
  if (thread == nullptr) return -ENOMEM;
  thread->entry = Enter;
  thread->entry_argument = guest;
  // The new thread takes nothing that is meant for Node's.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const long tid =
      dd_clone_thread(static_cast<long>(confine::kCloneFlagsThread), native::StackTop(thread),
                      &thread->host_tid, &thread->host_tid, 0, thread);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return tid;
}

}  // namespace dd::hosted
