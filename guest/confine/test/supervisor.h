// Stands in for the sentry: starts a launcher, confines itself, serves the listener, gives orders.
#ifndef DD_GUEST_CONFINE_TEST_SUPERVISOR_H_
#define DD_GUEST_CONFINE_TEST_SUPERVISOR_H_

#include <sys/types.h>

#include <string>

#include "guest/confine/confinement.h"
#include "guest/confine/test/shared.h"

namespace dd::confine::test {

class Supervisor {
 public:
  // Starts the container's launcher. With `landlock`, confines itself in between as a sentry does.
  // Prints a failed check and exits when a step is refused.
  Supervisor(const char* description_path, bool landlock);

  // Starts an executor with a clean board. Returns its pid in the container.
  pid_t Start(Scenario scenario, uint32_t probe = 0, pid_t target = -1);
  // Waits for the executor. Returns its wait status.
  int Reap();
  // Serves one notification: remembers who announced itself, and donates `file` at the first number
  // of the window unless it is negative. Returns the executor's host pid, or -1.
  pid_t ServeNotification(int file);

  [[nodiscard]] Board& board() { return *board_; }
  [[nodiscard]] pid_t launcher() const { return launcher_; }
  [[nodiscard]] const Confinement& confinement() const { return confinement_; }

 private:
  pid_t Spawn(const char* role, bool with_namespaces);
  Report Receive(int* descriptors, int count);

  Confinement confinement_{};
  Board* board_ = nullptr;
  int control_ = -1;
  int remote_ = -1;
  int description_ = -1;
  int board_file_ = -1;
  int namespaces_[2] = {-1, -1};
  int listener_ = -1;
  pid_t launcher_ = -1;
};

// What a sentry's domain means for its children, reduced to what matters here: they may read and
// execute, and not change mounts.
void EnterSentryDomain();

// Prints one result as a line of JSON and remembers failures. `detail` must need no escaping.
void Check(const std::string& name, bool ok, const std::string& detail);

// How many checks failed.
int FailedChecks();

}  // namespace dd::confine::test

#endif  // DD_GUEST_CONFINE_TEST_SUPERVISOR_H_
