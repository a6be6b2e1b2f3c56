// What every conformance program is written with: named cases whose expected results come from the
// man pages.
//
// A program defines `run`. It starts in a fresh directory, prints one line per case, and exits with
// 0 when every case had the result that was expected, so that it can be judged alone and compared
// line by line.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void run(void);

#define UNUSED __attribute__((unused))

static int cases_failed;
static char** program_arguments;

// Written at once and without stdio's buffer: a forked child must not print its parent's lines
// again.
UNUSED __attribute__((format(printf, 1, 2))) static void say(const char* format, ...) {
  char line[1024];
  va_list args;
  va_start(args, format);
  int length = vsnprintf(line, sizeof line - 1, format, args);
  va_end(args);
  if (length > (int)sizeof line - 2) length = (int)sizeof line - 2;
  line[length++] = '\n';
  if (write(1, line, (size_t)length) != length) _exit(99);
}

UNUSED static const char* error_name(int error) {
  const char* name = strerrorname_np(error);
  return name != NULL ? name : "an unknown error";
}

// The condition holds.
UNUSED static void check(const char* name, int condition) {
  if (!condition) cases_failed++;
  say("%s: %s", name, condition ? "ok" : "FAILED");
}

// The call fails with exactly this error.
#define fails(name, error, call)             \
  ({                                         \
    errno = 0;                               \
    long result_ = (long)(call);             \
    fails_((name), (error), result_, errno); \
  })
UNUSED static void fails_(const char* name, int error, long result, int got) {
  if (result == -1 && got == error) {
    say("%s: %s", name, error_name(error));
    return;
  }
  cases_failed++;
  if (result == -1) {
    say("%s: FAILED with %s, expected %s", name, error_name(got), error_name(error));
  } else {
    say("%s: FAILED by returning %ld, expected %s", name, result, error_name(error));
  }
}

// The call returns something other than -1; its result is passed on.
#define works(name, call)           \
  ({                                \
    errno = 0;                      \
    long result_ = (long)(call);    \
    works_((name), result_, errno); \
  })
UNUSED static int works_(const char* name, long result, int got) {
  if (result == -1) {
    cases_failed++;
    say("%s: FAILED with %s", name, error_name(got));
  } else {
    say("%s: ok", name);
  }
  return (int)result;
}

// The expression has exactly this value.
#define equals(name, want, got) equals_((name), (long)(want), (long)(got))
UNUSED static void equals_(const char* name, long want, long got) {
  if (want == got) {
    say("%s: %ld", name, want);
    return;
  }
  int error = errno;
  cases_failed++;
  say("%s: FAILED with %ld (errno %s), expected %ld", name, got, error_name(error), want);
}

UNUSED static void same_text(const char* name, const char* want, const char* got) {
  int same = strcmp(want, got) == 0;
  if (!same) cases_failed++;
  say(same ? "%s: %s" : "%s: FAILED, expected %s, got %s", name, want, got);
}

// What a test stands on, not what it tests: ends the program when it fails.
#define must(call)                                    \
  ({                                                  \
    errno = 0;                                        \
    long result_ = (long)(call);                      \
    must_(result_, errno, #call, __FILE__, __LINE__); \
  })
UNUSED static int must_(long result, int error, const char* text, const char* file, int line) {
  if (result == -1) {
    const char* slash = strrchr(file, '/');
    say("%s:%d: %s: FAILED with %s", slash ? slash + 1 : file, line, text, error_name(error));
    _exit(98);
  }
  return (int)result;
}

// Waits for a child: its exit code, or 128 + the signal that ended it.
UNUSED static int status_of(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) == -1) {
    if (errno != EINTR) return -1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

UNUSED static void sleep_ms(long ms) {
  struct timespec left = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&left, &left) == -1 && errno == EINTR) {
  }
}

// A child that sends us a signal again and again, until it is stopped: a single one could come
// before the call that it is to interrupt, when the machine is busy.
UNUSED static pid_t start_signals(int signo) {
  pid_t parent = getpid();
  pid_t pid = must(fork());
  while (pid == 0) {
    sleep_ms(50);
    if (getppid() != parent) _exit(0);
    kill(parent, signo);
  }
  return pid;
}
UNUSED static void stop_signals(pid_t pid) {
  must(kill(pid, SIGKILL));
  status_of(pid);
}

// Runs `body` in a forked child and counts its failed cases here.
UNUSED static void in_child(const char* name, void (*body)(void)) {
  pid_t pid = must(fork());
  if (pid == 0) {
    cases_failed = 0;
    body();
    _exit(cases_failed == 0 ? 0 : 1);
  }
  equals(name, 0, status_of(pid));
}

UNUSED static long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

UNUSED static void write_file(const char* path, const char* text, mode_t mode) {
  int fd = must(open(path, O_WRONLY | O_CREAT | O_TRUNC, mode));
  must(write(fd, text, strlen(text)));
  close(fd);
}

// The whole of a small file; the buffer is reused by the next call.
UNUSED static const char* read_file(const char* path) {
  static char text[65536];
  int fd = open(path, O_RDONLY);
  if (fd == -1) return "(cannot be opened)";
  size_t length = 0;
  ssize_t got;
  while (length < sizeof text - 1 &&
         (got = read(fd, text + length, sizeof text - 1 - length)) > 0) {
    length += (size_t)got;
  }
  close(fd);
  text[length] = '\0';
  return text;
}

static int remove_entry(const char* path, const struct stat* info, int kind, struct FTW* where) {
  (void)info, (void)kind, (void)where;
  return remove(path);
}

// Re-executions of the program by itself come here first; returns when argv[1] names none of its
// roles.
UNUSED static int is_role(const char* role) {
  return program_arguments[1] != NULL && strcmp(program_arguments[1], role) == 0;
}

static void play_role(void);
#ifndef HAS_ROLES
static void play_role(void) {}
#endif

int main(int argc, char** argv) {
  (void)argc;
  program_arguments = argv;
  if (argv[1] != NULL) {
    play_role();
    say("no role %s", argv[1]);
    return 97;
  }
  char directory[] = "/tmp/conformance-XXXXXX";
  umask(022);
  if (mkdtemp(directory) == NULL || chdir(directory) == -1) {
    say("no directory to work in: %s", error_name(errno));
    return 96;
  }
  run();
  if (chdir("/") == 0) nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
  return cases_failed == 0 ? 0 : 1;
}
