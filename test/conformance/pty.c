// pty(7), termios(3), ioctl_tty(2): the line discipline in canonical and raw mode, signals, sizes.
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "case.h"

static int master, slave;

static ssize_t receive(int fd, char* text, size_t size) {
  struct pollfd poll_fd = {fd, POLLIN, 0};
  ssize_t got = poll(&poll_fd, 1, 5000) == 1 ? read(fd, text, size - 1) : -1;
  text[got > 0 ? got : 0] = '\0';
  return got;
}

static int can_read(int fd) {
  struct pollfd poll_fd = {fd, POLLIN, 0};
  return poll(&poll_fd, 1, 100);
}

// Prints control characters by name.
static void show(const char* name, const char* text) {
  char line[512];
  size_t length = 0;
  for (; *text != '\0' && length < sizeof line - 8; text++) {
    if (*text == '\r') {
      length += (size_t)sprintf(line + length, "\\r");
    } else if (*text == '\n') {
      length += (size_t)sprintf(line + length, "\\n");
    } else if ((unsigned char)*text < 32 || *text == 127) {
      length += (size_t)sprintf(line + length, "<%d>", *text);
    } else {
      line[length++] = *text;
    }
  }
  line[length] = '\0';
  say("%s: \"%s\"", name, line);
}

static void type(const char* text) { must(write(master, text, strlen(text))); }

static void canonical(void) {
  char text[512];
  type("hello\n");
  receive(master, text, sizeof text);
  show("echo", text);
  receive(slave, text, sizeof text);
  show("a line", text);
  type("no newline");
  receive(master, text, sizeof text);
  equals("half a line cannot be read", 0, can_read(slave));
  type("\n");
  receive(slave, text, sizeof text);
  show("the whole line", text);
  receive(master, text, sizeof text);
  type("wrong\177\177\177\177\177right\n");
  receive(slave, text, sizeof text);
  show("erased", text);
  receive(master, text, sizeof text);
  show("echo of erasing", text);
  type("all of this\025kept\n");
  receive(slave, text, sizeof text);
  show("killed line", text);
  receive(master, text, sizeof text);
  type("two words\027one\n");
  receive(slave, text, sizeof text);
  show("erased word", text);
  receive(master, text, sizeof text);
  type("end\004");
  receive(slave, text, sizeof text);
  show("^D after text", text);
  type("\004");
  equals("^D at the start of a line", 0, receive(slave, text, sizeof text));
  receive(master, text, sizeof text);
  type("a literal \026\003\n");
  receive(slave, text, sizeof text);
  show("^V", text);
  receive(master, text, sizeof text);
  show("echo of control characters", text);
  type("return\r");
  receive(slave, text, sizeof text);
  show("ICRNL", text);
  receive(master, text, sizeof text);
  type("one\ntwo\n");
  receive(slave, text, sizeof text);
  show("one line a read", text);
  receive(slave, text, sizeof text);
  show("then the next", text);
  receive(master, text, sizeof text);
  must(write(slave, "out\n", 4));
  receive(master, text, sizeof text);
  show("ONLCR", text);
  type("long line\n");
  int waiting = -1;
  can_read(slave);
  works("FIONREAD", ioctl(slave, FIONREAD, &waiting));
  equals("bytes of the line", 10, waiting);
  equals("a short read takes part", 4, read(slave, text, 4));
  receive(slave, text, sizeof text);
  show("the rest follows", text);
  receive(master, text, sizeof text);
}

static void raw(void) {
  char text[512];
  struct termios mode, saved;
  works("tcgetattr", tcgetattr(slave, &saved));
  mode = saved;
  cfmakeraw(&mode);
  works("tcsetattr", tcsetattr(slave, TCSANOW, &mode));
  type("x");
  receive(slave, text, sizeof text);
  show("raw: at once", text);
  equals("raw: no echo", 0, can_read(master));
  type("\003\032\r");
  receive(slave, text, sizeof text);
  show("raw: control characters", text);
  must(write(slave, "a\nb", 3));
  receive(master, text, sizeof text);
  show("raw: output as it is", text);
  mode.c_cc[VMIN] = 4;
  mode.c_cc[VTIME] = 0;
  must(tcsetattr(slave, TCSANOW, &mode));
  pid_t pid = must(fork());
  if (pid == 0) {
    type("12");
    sleep_ms(30);
    type("34");
    _exit(0);
  }
  equals("VMIN waits for four", 4, read(slave, text, sizeof text));
  status_of(pid);
  mode.c_cc[VMIN] = 0;
  mode.c_cc[VTIME] = 1;
  must(tcsetattr(slave, TCSANOW, &mode));
  equals("VTIME gives up", 0, read(slave, text, sizeof text));
  mode.c_cc[VTIME] = 0;
  must(tcsetattr(slave, TCSANOW, &mode));
  equals("VMIN 0, VTIME 0 does not wait", 0, read(slave, text, sizeof text));
  must(tcsetattr(slave, TCSANOW, &saved));
  // <termio.h>, whose modes these are, cannot be included beside <termios.h>.
  struct old_modes {
    unsigned short flags[4];
    unsigned char line, cc[8];
  } old;
  works("TCGETA", ioctl(slave, TCGETA, &old));
  check("the low halves",
        old.flags[3] == (unsigned short)saved.c_lflag && old.cc[0] == saved.c_cc[0]);
  old.flags[3] &= (unsigned short)~ECHO;
  works("TCSETA", ioctl(slave, TCSETA, &old));
  must(tcgetattr(slave, &mode));
  check("changes them only", mode.c_lflag == (saved.c_lflag & ~(tcflag_t)ECHO) &&
                                 mode.c_cflag == saved.c_cflag && mode.c_cc[9] == saved.c_cc[9]);
  must(tcsetattr(slave, TCSANOW, &saved));
  struct termios again;
  must(tcgetattr(master, &again));
  check("the master sees the modes", again.c_lflag == saved.c_lflag);
  saved.c_lflag &= ~(tcflag_t)ECHO;
  must(tcsetattr(slave, TCSANOW, &saved));
  type("secret\n");
  receive(slave, text, sizeof text);
  show("without echo", text);
  equals("nothing is echoed", 0, can_read(master));
  saved.c_lflag |= ECHO;
  must(tcsetattr(slave, TCSANOW, &saved));
  type("lost\n");
  receive(master, text, sizeof text);
  works("tcflush", tcflush(slave, TCIFLUSH));
  equals("input is gone", 0, can_read(slave));
}

static void run(void) {
  char name[128];
  char text[64];
  works("posix_openpt", master = posix_openpt(O_RDWR | O_NOCTTY));
  fails("a locked slave", EIO, ({
          int number = -1;
          must(ioctl(master, TIOCGPTN, &number));
          snprintf(name, sizeof name, "/dev/pts/%d", number);
          open(name, O_RDWR | O_NOCTTY);
        }));
  works("grantpt", grantpt(master));
  works("unlockpt", unlockpt(master));
  check("ptsname", ptsname(master) != NULL && strcmp(ptsname(master), name) == 0);
  works("the slave", slave = open(name, O_RDWR | O_NOCTTY));
  equals("isatty", 1, isatty(slave));
  equals("isatty() of the master", 1, isatty(master));
  int pipe_ends[2];
  must(pipe(pipe_ends));
  equals("isatty() of a pipe", 0, isatty(pipe_ends[0]));
  equals("its error", ENOTTY, errno);
  check("ttyname", ttyname(slave) != NULL && strcmp(ttyname(slave), name) == 0);
  struct stat info;
  must(fstat(slave, &info));
  check("a character device", S_ISCHR(info.st_mode));
  struct winsize size = {0};
  works("TIOCGWINSZ", ioctl(slave, TIOCGWINSZ, &size));
  equals("no size at first", 0, size.ws_row + size.ws_col);
  size = (struct winsize){24, 80, 0, 0};
  works("TIOCSWINSZ", ioctl(master, TIOCSWINSZ, &size));
  size.ws_col = 0;
  must(ioctl(slave, TIOCGWINSZ, &size));
  equals("the slave's size", 80, size.ws_col);

  canonical();
  raw();

  close(slave);
  fails("read() of the master without a slave", EIO, read(master, text, sizeof text));
  slave = must(open(name, O_RDWR | O_NOCTTY));
  close(master);
  equals("read() of the slave without a master", 0, read(slave, text, sizeof text));
  fails("write() to it", EIO, write(slave, "x", 1));
  fails("the name is gone", ENOENT, open(name, O_RDWR | O_NOCTTY));
}
