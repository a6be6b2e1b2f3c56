// pipe(2), pipe2(2), pipe(7), fifo(7): blocking, atomicity, ends, SIGPIPE.
#include <sys/ioctl.h>

#include "case.h"

static volatile int pipes_broken;
static void on_pipe(int signo) { pipes_broken += signo == SIGPIPE; }

static void run(void) {
  int ends[2];
  char buffer[8192];
  works("pipe", pipe(ends));
  equals("write", 5, write(ends[1], "hello", 5));
  int waiting = 0;
  works("FIONREAD", ioctl(ends[0], FIONREAD, &waiting));
  equals("bytes waiting", 5, waiting);
  equals("read", 2, read(ends[0], buffer, 2));
  equals("read() the rest", 3, read(ends[0], buffer, sizeof buffer));
  fails("write() to the read end", EBADF, write(ends[0], "x", 1));
  fails("read() of the write end", EBADF, read(ends[1], buffer, 1));
  fails("pipe2() with a wrong flag", EINVAL, pipe2(ends, O_APPEND));
  fails("pipe() to a bad address", EFAULT, pipe((int*)8));

  pid_t pid = must(fork());
  if (pid == 0) {
    close(ends[0]);
    sleep_ms(50);
    must(write(ends[1], "late", 4));
    _exit(0);
  }
  close(ends[1]);
  equals("read() waits for a writer", 4, read(ends[0], buffer, sizeof buffer));
  status_of(pid);
  equals("read() at the end", 0, read(ends[0], buffer, sizeof buffer));
  close(ends[0]);

  must(pipe(ends));
  close(ends[0]);
  signal(SIGPIPE, SIG_IGN);
  fails("write() without a reader", EPIPE, write(ends[1], "x", 1));
  signal(SIGPIPE, on_pipe);
  fails("write() without a reader, handled", EPIPE, write(ends[1], "x", 1));
  equals("SIGPIPE came", 1, pipes_broken);
  pid = must(fork());
  if (pid == 0) {
    signal(SIGPIPE, SIG_DFL);
    write(ends[1], "x", 1);
    _exit(0);
  }
  equals("SIGPIPE ends a process", 128 + SIGPIPE, status_of(pid));

  works("pipe2(O_NONBLOCK | O_CLOEXEC)", pipe2(ends, O_NONBLOCK | O_CLOEXEC));
  equals("close-on-exec", FD_CLOEXEC, fcntl(ends[0], F_GETFD));
  fails("read() of an empty one", EAGAIN, read(ends[0], buffer, 1));
  long total = 0, got;
  memset(buffer, 'p', sizeof buffer);
  while ((got = write(ends[1], buffer, 4096)) > 0) total += got;
  equals("a full pipe: the error", EAGAIN, errno);
  equals("its capacity", 65536, total);
  equals("F_GETPIPE_SZ", 65536, fcntl(ends[1], F_GETPIPE_SZ));
  equals("read() makes room", 4096, read(ends[0], buffer, 4096));
  equals("write() into it", 4096, write(ends[1], buffer, 4096));
  fails("an atomic write does not fit", EAGAIN, write(ends[1], buffer, 1));

  must(pipe(ends));
  pid = must(fork());
  if (pid == 0) {
    static char large[400000];
    memset(large, 'l', sizeof large);
    close(ends[0]);
    _exit(write(ends[1], large, sizeof large) == sizeof large ? 0 : 1);
  }
  close(ends[1]);
  total = 0;
  while ((got = read(ends[0], buffer, sizeof buffer)) > 0) total += got;
  equals("a large write arrives in pieces", 400000, total);
  equals("the writer saw it whole", 0, status_of(pid));

  must(pipe(ends));
  for (int i = 0; i < 4; i++) {
    if (fork() == 0) {
      char line[512];
      memset(line, 'a' + i, sizeof line);
      for (int n = 0; n < 50; n++) must(write(ends[1], line, sizeof line));
      _exit(0);
    }
  }
  close(ends[1]);
  int torn = 0;
  total = 0;
  size_t have = 0;
  while ((got = read(ends[0], buffer + have, 512 - have)) > 0) {
    have += (size_t)got;
    total += got;
    if (have == 512) {
      for (int n = 1; n < 512; n++) torn += buffer[n] != buffer[0];
      have = 0;
    }
  }
  while (wait(NULL) > 0) {
  }
  equals("four writers: all arrives", 4 * 50 * 512, total);
  equals("writes up to PIPE_BUF are atomic", 0, torn);

  must(mkfifo("fifo", 0600));
  fails("a fifo without a reader, O_NONBLOCK", ENXIO, open("fifo", O_WRONLY | O_NONBLOCK));
  int reader = works("a fifo for reading, O_NONBLOCK", open("fifo", O_RDONLY | O_NONBLOCK));
  equals("read() of a fifo without writers", 0, read(reader, buffer, 1));
  int writer = works("a fifo with a reader", open("fifo", O_WRONLY | O_NONBLOCK));
  fails("read() of an empty fifo with a writer", EAGAIN, read(reader, buffer, 1));
  must(write(writer, "fifo", 4));
  equals("read() of a fifo", 4, read(reader, buffer, 10));
  close(reader);
  close(writer);
  pid = must(fork());
  if (pid == 0) {
    int fd = must(open("fifo", O_WRONLY));
    must(write(fd, "met", 3));
    _exit(0);
  }
  reader = works("open() waits for the other side", open("fifo", O_RDONLY));
  equals("they meet", 3, read(reader, buffer, 10));
  equals("the writer ended", 0, status_of(pid));
}
