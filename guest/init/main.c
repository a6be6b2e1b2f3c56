// The init of `ddcli run --init`: pid 1 of a container whose command is not written to be one. It
// starts the command, passes signals on to it, and reaps what the command's children leave behind.
// It is a guest program like any other, mounted into the container; it knows nothing of dd.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kNotExecutable = 126, kNotFound = 127, kSignalled = 128 };

// Replaces the child by the command, in the foreground of the terminal if there is one.
static _Noreturn void Exec(char** command, const sigset_t* mask) {
  setpgid(0, 0);
  tcsetpgrp(STDIN_FILENO, getpid());  // Fails where there is no terminal: then nothing is lost.
  signal(SIGTTOU, SIG_DFL);
  signal(SIGTTIN, SIG_DFL);
  sigprocmask(SIG_SETMASK, mask, NULL);
  execvp(command[0], command);
  const int code = errno == ENOENT ? kNotFound : kNotExecutable;
  dprintf(STDERR_FILENO, "init: %s: %s\n", command[0], strerror(errno));
  _exit(code);
}

// Reaps every child that has ended. Returns the command's exit code once it is among them, else -1.
static int Reap(pid_t command) {
  int code = -1;
  int status = 0;
  pid_t ended = 0;
  while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
    if (ended != command) continue;
    code = WIFEXITED(status) ? WEXITSTATUS(status) : kSignalled + WTERMSIG(status);
  }
  return code;
}

int main(int argc, char** argv) {
  char** command = argv + 1;
  if (argc > 1 && strcmp(argv[1], "--") == 0) command++;
  if (*command == NULL) {
    dprintf(STDERR_FILENO, "init: there is no command\n");
    return kNotFound;
  }
  sigset_t awaited;
  sigset_t before;
  sigfillset(&awaited);
  // Faults of our own are not for the command.
  static const int kFaults[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS};
  for (unsigned i = 0; i < sizeof kFaults / sizeof *kFaults; i++) sigdelset(&awaited, kFaults[i]);
  sigprocmask(SIG_SETMASK, &awaited, &before);
  // The child gives itself the terminal from the background.
  signal(SIGTTOU, SIG_IGN);
  signal(SIGTTIN, SIG_IGN);
  const pid_t child = fork();
  if (child == 0) Exec(command, &before);
  if (child < 0) {
    dprintf(STDERR_FILENO, "init: fork: %s\n", strerror(errno));
    return kNotExecutable;
  }
  for (;;) {
    const int signo = sigwaitinfo(&awaited, NULL);
    if (signo == SIGCHLD) {
      const int code = Reap(child);
      if (code >= 0) return code;
    } else if (signo > 0) {
      kill(child, signo);
    }
  }
}
