// dd-probe: tries each layer of confinement on this very system and prints a line of JSON for each:
// {"layer":"landlock","errno":0,"detail":"ABI 7"}. profiles/probe.ts says what each result means.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>

#include "guest/confine/probe/layer.h"

namespace dd::confine::probe {
namespace {

// No trial takes longer; one that hangs is a failure of that layer only.
constexpr unsigned kTrialSecondsMax = 10;

[[noreturn]] void RunTrial(const Layer& layer, int channel) {
  alarm(kTrialSecondsMax);
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  const Outcome outcome = layer.attempt();
  const ssize_t sent = write(channel, &outcome, sizeof(outcome));
  _exit(sent == static_cast<ssize_t>(sizeof(outcome)) ? 0 : 1);
}

Outcome Try(const Layer& layer) {
  int channel[2];
  if (pipe(channel) != 0) return Fails("pipe");
  const pid_t child = fork();
  if (child < 0) return Fails("fork");
  if (child == 0) {
    close(channel[0]);
    RunTrial(layer, channel[1]);
  }
  close(channel[1]);
  Outcome outcome{};
  const ssize_t got = read(channel[0], &outcome, sizeof(outcome));
  close(channel[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (got == static_cast<ssize_t>(sizeof(outcome))) return outcome;
  char detail[kDetailMax];
  if (WIFSIGNALED(status)) {
    snprintf(detail, sizeof(detail), "the trial was killed by signal %d", WTERMSIG(status));
  } else {
    snprintf(detail, sizeof(detail), "the trial ended with status %d", WEXITSTATUS(status));
  }
  return FailsWith(EINVAL, detail);
}

void Report(std::span<const Layer> layers) {
  for (const Layer& layer : layers) {
    const Outcome outcome = Try(layer);
    printf("{\"layer\":\"%s\",\"errno\":%d,\"detail\":\"%s\"}\n", layer.name, outcome.error,
           outcome.detail);
    fflush(stdout);
  }
}

}  // namespace

Outcome FailsWith(int error, const char* detail) {
  Outcome outcome{.error = error, .detail = {}};
  snprintf(outcome.detail, sizeof(outcome.detail), "%s", detail);
  return outcome;
}

Outcome Works(const char* detail) { return FailsWith(0, detail); }

Outcome Fails(const char* detail) { return FailsWith(errno, detail); }

}  // namespace dd::confine::probe

int main() {
  using namespace dd::confine::probe;
  Report(NamespaceLayers());
  Report(FilterLayers());
  Report(SystemLayers());
  return 0;
}
