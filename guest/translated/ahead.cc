#include "guest/launcher/ahead.h"

#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/exec/stored.h"
#include "guest/host/build.h"
#include "guest/translated/context.h"
#include "ring/layout.h"

namespace dd::launcher {
namespace {

constexpr int kSourceFd = 3;
constexpr int kRequestFd = 4;
constexpr int kStoreFd = 5;
constexpr uint64_t kPcLimit = 1 << 20;
constexpr rlim_t kSeconds = 30;

// Exit statuses.
constexpr int kBadRequest = 81;
constexpr int kNoMemory = 82;
constexpr int kNotConfined = 83;
constexpr int kNothing = 84;
constexpr int kNotWritten = 85;

void* MapMemory(size_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return at == MAP_FAILED ? nullptr : at;
}

// Nothing that is made here is ever executed here.
bool LeaveWritable(void*, size_t, bool) { return true; }

size_t FetchNothing(void*, uint64_t, size_t) { return 0; }
void NeverWait() {}

constexpr exec::HostServices kHost = {MapMemory, LeaveWritable, FetchNothing, NeverWait};

// From here on: read(2), write(2) and exit(2), on descriptors that are open.
bool Confine() {
  const rlimit cpu = {kSeconds, kSeconds};
  const rlimit core = {0, 0};
  const rlimit file = {exec::kStoredBytesMax, exec::kStoredBytesMax};
  return setrlimit(RLIMIT_CPU, &cpu) == 0 && setrlimit(RLIMIT_CORE, &core) == 0 &&
         setrlimit(RLIMIT_FSIZE, &file) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 &&
         prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && close_range(0, kRequestFd, 0) == 0 &&
         close_range(kStoreFd + 1, ~0U, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) == 0;
}

[[noreturn]] void Exit(int status) {
  // exit_group(2) is not allowed any more.
  for (;;) syscall(SYS_exit, status);
}

}  // namespace

int TranslateAhead() {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return kNotConfined;
  ring::AheadRequest request = {};
  if (pread(kRequestFd, &request, sizeof request, 0) != sizeof request) return kBadRequest;
  exec::Source source = {};
  if (request.pc_count > kPcLimit || request.length > exec::kSourceBytesMax ||
      !host::BuildOf(source.build)) {
    return kBadRequest;
  }
  const size_t request_bytes = sizeof request + request.pc_count * sizeof(uint32_t);
  void* pcs = mmap(nullptr, request_bytes, PROT_READ, MAP_PRIVATE, kRequestFd, 0);
  void* bytes = mmap(nullptr, request.length, PROT_READ, MAP_PRIVATE, kSourceFd,
                     static_cast<off_t>(request.offset));
  auto* store = static_cast<uint8_t*>(MapMemory(exec::kStoredBytesMax));
  exec::Translator* translator = exec::MakeRecorder(kHost, translated::kLower);
  if (pcs == MAP_FAILED || bytes == MAP_FAILED || store == nullptr || translator == nullptr) {
    return kNoMemory;
  }
  source.bytes = static_cast<const uint8_t*>(bytes);
  source.size = request.length;
  source.pcs = reinterpret_cast<const uint32_t*>(static_cast<const char*>(pcs) + sizeof request);
  source.pc_count = static_cast<uint32_t>(request.pc_count);
  if (!Confine()) return kNotConfined;
  // Only now are bytes of strangers looked at.
  const size_t made = exec::Record(translator, source, store, exec::kStoredBytesMax);
  if (made == 0) Exit(kNothing);
  for (size_t done = 0; done < made;) {
    const ssize_t written = write(kStoreFd, store + done, made - done);
    if (written <= 0) Exit(kNotWritten);
    done += static_cast<size_t>(written);
  }
  Exit(0);
}

}  // namespace dd::launcher
