// wait4(2), waitpid(2), waitid(2): options, statuses, process groups, SIGCHLD.
#include <sys/resource.h>

#include "case.h"

static volatile int children, last_code, last_status;
static void on_child(int signo, siginfo_t* info, void* context) {
  (void)signo, (void)context;
  children++;
  last_code = info->si_code;
  last_status = info->si_status;
}

static pid_t sleeper(void) {
  pid_t pid = must(fork());
  if (pid == 0) {
    for (;;) pause();
  }
  return pid;
}

static void run(void) {
  int status = 0;
  siginfo_t info;
  fails("no children", ECHILD, wait(&status));
  fails("no children, WNOHANG", ECHILD, waitpid(-1, &status, WNOHANG));
  pid_t pid = sleeper();
  equals("a running child, WNOHANG", 0, waitpid(pid, &status, WNOHANG));
  fails("a stranger", ECHILD, waitpid(1, &status, 0));
  fails("an unknown option", EINVAL, waitpid(pid, &status, 0x100));
  fails("another group", ECHILD, waitpid(-99999, &status, WNOHANG));

  kill(pid, SIGSTOP);
  check("WUNTRACED", waitpid(pid, &status, WUNTRACED) == pid);
  check("it stopped", WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
  equals("told once", 0, waitpid(pid, &status, WUNTRACED | WNOHANG));
  kill(pid, SIGCONT);
  check("WCONTINUED", waitpid(pid, &status, WCONTINUED) == pid);
  check("it continued", WIFCONTINUED(status));
  kill(pid, SIGTERM);
  check("it ends", waitpid(pid, &status, 0) == pid);
  check("by a signal", WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
  check("without a core", !WCOREDUMP(status));
  fails("only once", ECHILD, waitpid(pid, &status, 0));

  pid = must(fork());
  if (pid == 0) _exit(44);
  memset(&info, 0, sizeof info);
  works("waitid(WNOWAIT)", waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
  check("whose", info.si_pid == pid && info.si_signo == SIGCHLD);
  equals("si_code", CLD_EXITED, info.si_code);
  equals("si_status", 44, info.si_status);
  works("it is still there", waitid(P_ALL, 0, &info, WEXITED));
  fails("and then not", ECHILD, waitid(P_PID, (id_t)pid, &info, WEXITED));
  fails("waitid() without what", EINVAL, waitid(P_ALL, 0, &info, 0));
  pid = sleeper();
  info.si_pid = 1234;
  works("waitid(WNOHANG)", waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG));
  equals("clears si_pid", 0, info.si_pid);
  kill(pid, SIGSTOP);
  works("waitid(WSTOPPED)", waitid(P_PID, (id_t)pid, &info, WSTOPPED));
  check("CLD_STOPPED by SIGSTOP", info.si_code == CLD_STOPPED && info.si_status == SIGSTOP);
  kill(pid, SIGKILL);
  works("waitid() of a killed one", waitid(P_PID, (id_t)pid, &info, WEXITED));
  check("CLD_KILLED by SIGKILL", info.si_code == CLD_KILLED && info.si_status == SIGKILL);

  pid = must(fork());
  if (pid == 0) {
    setpgid(0, 0);
    _exit(7);
  }
  setpgid(pid, pid);
  fails("our group has none", ECHILD, waitpid(0, &status, 0));
  check("its group has", waitpid(-pid, &status, 0) == pid);

  struct rusage usage;
  pid = must(fork());
  if (pid == 0) {
    volatile double sum = 0;
    for (int i = 0; i < 30000000; i++) sum += i;
    _exit(0);
  }
  check("wait4", wait4(pid, &status, 0, &usage) == pid);
  check("its time", usage.ru_utime.tv_sec > 0 || usage.ru_utime.tv_usec > 1000);

  struct sigaction action = {.sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_RESTART};
  sigaction(SIGCHLD, &action, NULL);
  pid = must(fork());
  if (pid == 0) _exit(12);
  equals("SIGCHLD does not disturb wait", 12, status_of(pid));
  equals("it came", 1, children);
  equals("CLD_EXITED", CLD_EXITED, last_code);
  equals("with the code", 12, last_status);
  pid = sleeper();
  kill(pid, SIGSTOP);
  must(waitpid(pid, &status, WUNTRACED));
  equals("SIGCHLD for a stop", CLD_STOPPED, last_code);
  action.sa_flags |= SA_NOCLDSTOP;
  sigaction(SIGCHLD, &action, NULL);
  int before = children;
  kill(pid, SIGCONT);
  must(waitpid(pid, &status, WCONTINUED));
  equals("SA_NOCLDSTOP: none", before, children);
  kill(pid, SIGKILL);
  status_of(pid);

  signal(SIGCHLD, SIG_IGN);
  pid = must(fork());
  if (pid == 0) _exit(1);
  fails("SIG_IGN: no zombies", ECHILD, waitpid(pid, &status, 0));
  action = (struct sigaction){.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
  sigaction(SIGCHLD, &action, NULL);
  pid = must(fork());
  if (pid == 0) _exit(1);
  fails("SA_NOCLDWAIT: no zombies", ECHILD, waitpid(pid, &status, 0));
  signal(SIGCHLD, SIG_DFL);
  pid = must(fork());
  if (pid == 0) _exit(0);
  must(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
  works("kill() of a zombie", kill(pid, SIGTERM));
  equals("changes nothing", 0, status_of(pid));
  fails("kill() of what is gone", ESRCH, kill(pid, 0));
}
