#include <fcntl.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "guest/confine/probe/layer.h"

namespace dd::confine::probe {
namespace {

Outcome TryTracing() {
  static char secret = 1;
  const pid_t child = fork();
  if (child < 0) return Fails("fork");
  if (child == 0) {
    secret = 42;
    for (;;) pause();
  }
  char copy = 0;
  const iovec local = {&copy, 1};
  const iovec remote = {&secret, 1};
  ssize_t got = 0;
  // Until the child has run.
  do {
    got = process_vm_readv(child, &local, 1, &remote, 1, 0);
  } while (got == 1 && copy != 42);
  const Outcome outcome = got == 1 ? Works() : Fails("reading a child's memory");
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return outcome;
}

Outcome TryFsgsbase() {
#if defined(__x86_64__)
  constexpr unsigned long kHwcap2Fsgsbase = 2;
  if ((getauxval(AT_HWCAP2) & kHwcap2Fsgsbase) == 0) return FailsWith(ENOTSUP, "not announced");
  unsigned long base = 0;
  asm volatile("rdfsbase %0" : "=r"(base));
  return base != 0 ? Works() : FailsWith(EINVAL, "no base");
#else
  return Works("not needed on this processor");
#endif
}

std::string ReadText(const std::string& path) {
  char text[4096];
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  std::string all;
  for (ssize_t n = 0; (n = read(fd, text, sizeof(text))) > 0;) {
    all.append(text, static_cast<size_t>(n));
  }
  close(fd);
  return all;
}

// Calls `use` with each line of a file; stops when it answers true. Returns whether it did.
template <typename Use>
bool AnyLine(const std::string& path, Use use) {
  const std::string text = ReadText(path);
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    if (use(text.substr(at, end - at))) return true;
    at = end + 1;
  }
  return false;
}

bool HasWord(const std::string& list, const std::string& word, char separator) {
  const std::string all = separator + list + separator;
  return all.find(separator + word + separator) != std::string::npos;
}

// Where a cgroup hierarchy is mounted: the v1 one of a controller, or for "" the unified one.
std::string MountOf(const std::string& controller) {
  std::string found;
  AnyLine("/proc/self/mountinfo", [&](const std::string& line) {
    const size_t dash = line.find(" - ");
    if (dash == std::string::npos) return false;
    const std::string after = line.substr(dash + 3);
    const bool unified = after.rfind("cgroup2 ", 0) == 0;
    const std::string options = after.substr(after.rfind(' ') + 1);
    const bool wanted = controller.empty()
                            ? unified
                            : after.rfind("cgroup ", 0) == 0 && HasWord(options, controller, ',');
    if (!wanted) return false;
    size_t start = 0;
    for (int field = 0; field < 4; ++field) start = line.find(' ', start) + 1;
    found = line.substr(start, line.find(' ', start) - start);
    return true;
  });
  return found;
}

// This process's own group in that hierarchy.
std::string GroupOf(const std::string& controller) {
  std::string found;
  AnyLine("/proc/self/cgroup", [&](const std::string& line) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second == std::string::npos) return false;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (controller.empty() ? !controllers.empty() : !HasWord(controllers, controller, ',')) {
      return false;
    }
    found = line.substr(second + 1);
    return true;
  });
  return found;
}

Outcome TryCgroup(const char* controller) {
  const std::string unified = MountOf("");
  const std::string own = unified + GroupOf("");
  if (!unified.empty()) {
    std::string controllers = ReadText(own + "/cgroup.controllers");
    while (!controllers.empty() && controllers.back() == '\n') controllers.pop_back();
    if (HasWord(controllers, controller, ' ')) {
      return access(own.c_str(), W_OK) == 0 ? Works("version 2")
                                            : Fails("version 2, not delegated to this user");
    }
  }
  const std::string mount = MountOf(controller);
  if (mount.empty()) return FailsWith(ENOENT, "no hierarchy has this controller");
  // In a container the group is named as the host sees it, but mounted as the root.
  const std::string group = mount + GroupOf(controller);
  const std::string& place = access(group.c_str(), F_OK) == 0 ? group : mount;
  return access(place.c_str(), W_OK) == 0 ? Works("version 1")
                                          : Fails("version 1, not writable for this user");
}

Outcome TryCgroupPids() { return TryCgroup("pids"); }
Outcome TryCgroupMemory() { return TryCgroup("memory"); }

constexpr Layer kLayers[] = {
    {"executor-memory", TryTracing},
    {"fsgsbase", TryFsgsbase},
    {"cgroup-pids", TryCgroupPids},
    {"cgroup-memory", TryCgroupMemory},
};

}  // namespace

std::span<const Layer> SystemLayers() { return kLayers; }

}  // namespace dd::confine::probe
