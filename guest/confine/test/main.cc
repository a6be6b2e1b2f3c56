// Confines itself as a container's executors are confined and attacks from inside; test/profiles
// runs it, as root and as an ordinary user. Prints a line of JSON per check.
//   dd-confine-test run DESCRIPTION [landlock]
//   dd-confine-test describe DESCRIPTION
//   dd-confine-test inside-landlock DESCRIPTION     run, below a process that forbids mounts
#include <cstdio>
#include <cstring>

#include "guest/confine/test/checks.h"
#include "guest/confine/test/describe.h"
#include "guest/confine/test/launcher.h"
#include "guest/confine/test/supervisor.h"

int main(int argc, char** argv) {
  using namespace dd::confine::test;
  const char* const role = argc > 1 ? argv[1] : "";
  if (strcmp(role, "prepare") == 0) return RunPrepare();
  if (strcmp(role, "launch") == 0) return RunLaunch(argv[0]);
  if (strcmp(role, "confined") == 0) return RunConfined();
  if (strcmp(role, "inside-landlock") == 0 && argc > 2) {
    EnterSentryDomain();
    return RunChecks(argv[2], false);
  }
  if (strcmp(role, "describe") == 0 && argc > 2) return RunDescribe(argv[2]);
  if (strcmp(role, "run") == 0 && argc > 2) return RunChecks(argv[2], argc > 3);
  fputs("usage: dd-confine-test run DESCRIPTION [landlock]\n", stderr);
  return 2;
}
