#include "guest/confine/test/launcher.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/confine/confine.h"
#include "guest/confine/descriptors.h"
#include "guest/confine/landlock.h"
#include "guest/confine/speculation.h"
#include "guest/confine/test/scenarios.h"

namespace dd::confine::test {
namespace {

int Refuse(const Failure& failure) {
  ReportFailure(kControl, failure);
  return 1;
}

// All that ConfineExecutor does, but for the main filter: shows what the second layer holds.
Failure ConfineWithoutFilter(const Confinement& confinement) {
  if (const Failure failure = CloseAllButWindow(); failure.failed()) return failure;
  if (const Failure failure = EnterLandlockDomain(confinement); failure.failed()) return failure;
  return DisableSpeculation(confinement);
}

[[noreturn]] void RunExecutor(const Confinement& shared, const Order& order, Board* board) {
  Confinement confinement = shared;
  const Stub stub = MapStub(&confinement);
  if (stub.call == nullptr || !CatchTraps(stub, board)) _exit(100);
  const bool unfiltered =
      order.scenario == Scenario::kProbeNoFilter || order.scenario == Scenario::kSibling;
  const Failure failure =
      unfiltered ? ConfineWithoutFilter(confinement) : ConfineExecutor(confinement);
  if (failure.failed()) {
    board->values[0].store(static_cast<int64_t>(failure.step));
    board->result.store(-failure.error);
    _exit(kNotConfined);
  }
  RunScenario(order, stub, board);
}

// Waits for the executor and all that it forked. Returns the executor's status.
int Reap(pid_t executor) {
  int status = -1;
  int other = 0;
  for (pid_t pid = 0; (pid = waitpid(-1, &other, 0)) > 0;) {
    if (pid == executor) status = other;
  }
  return status;
}

int Serve(const Confinement& confinement, Board* board) {
  Order order{};
  pid_t executor = -1;
  while (recv(kControl, &order, sizeof(order), 0) == static_cast<ssize_t>(sizeof(order))) {
    int answer = 0;
    if (order.kind == Order::Kind::kStart) {
      executor = fork();
      if (executor == 0) RunExecutor(confinement, order, board);
      answer = executor;
    } else {
      answer = Reap(executor);
    }
    if (send(kControl, &answer, sizeof(answer), MSG_NOSIGNAL) < 0) return 1;
  }
  return 0;
}

}  // namespace

int RunPrepare() {
  Confinement confinement;
  Failure failure = ReadConfinement(kDescription, &confinement);
  if (!failure.failed()) failure = PrepareNamespaces(confinement, kControl);
  return failure.failed() ? Refuse(failure) : 0;
}

int RunLaunch(char* program) {
  Confinement confinement;
  Failure failure = ReadConfinement(kDescription, &confinement);
  char stage[] = "confined";
  char* const argv[] = {program, stage, nullptr};
  if (!failure.failed()) failure = EnterUserNamespace(confinement, kUserNamespace, argv);
  return Refuse(failure);
}

int RunConfined() {
  static Confinement confinement;
  Failure failure = ReadConfinement(kDescription, &confinement);
  if (failure.failed()) return Refuse(failure);
  void* const board = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED, kBoard, 0);
  if (board == MAP_FAILED) return 1;
  failure = ConfineLauncher(confinement, kControl, kMountNamespace, {});
  if (failure.failed()) return Refuse(failure);
  return Serve(confinement, static_cast<Board*>(board));
}

}  // namespace dd::confine::test
