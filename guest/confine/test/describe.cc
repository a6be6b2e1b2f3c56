#include "guest/confine/test/describe.h"

#include <fcntl.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>

#include "guest/confine/confinement.h"

namespace dd::confine::test {
namespace {

void Number(const char* name, uint64_t value) { printf("\"%s\":%" PRIu64 ",", name, value); }

const char* Separator(size_t at) { return at == 0 ? "" : ","; }

}  // namespace

int RunDescribe(const char* path) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  Confinement c;
  const Failure failure = ReadConfinement(file, &c);
  close(file);
  if (failure.failed()) return 1;
  printf("{");
  Number("host_uid", c.host_uid);
  Number("host_gid", c.host_gid);
  Number("outer_namespaces", c.outer_namespaces);
  Number("inner_namespaces", c.inner_namespaces);
  Number("landlock_abi", c.landlock_abi);
  Number("landlock_filesystem", c.landlock_filesystem);
  Number("landlock_network", c.landlock_network);
  Number("landlock_scoped", c.landlock_scoped);
  Number("speculation", c.speculation);
  Number("notify_call", c.notify_call);
  printf("\"window\":[%u,%u],", c.window_first, c.window_last);
  printf("\"stub\":[%u,%u,%u],", c.stub_high_at, c.stub_start_at, c.stub_end_at);
  printf("\"limits\":[");
  for (size_t i = 0; i < c.limit_count; ++i) {
    printf("%s%" PRIu64, Separator(i), c.limits[i].value);
  }
  printf("],\"notify_filter\":[");
  for (size_t i = 0; i < c.notify_filter_length; ++i) {
    printf("%s%u", Separator(i), c.notify_filter[i].k);
  }
  printf("],\"executor_filter\":[");
  for (size_t i = 0; i < c.executor_filter_length; ++i) {
    const ConfinementInstruction& f = c.executor_filter[i];
    printf("%s[%u,%u,%u,%u]", Separator(i), f.code, f.jt, f.jf, f.k);
  }
  printf("]}\n");
  return 0;
}

}  // namespace dd::confine::test
