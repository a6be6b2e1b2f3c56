// alarm(2), setitimer(2), timer_create(2), nanosleep(2), clock_gettime(2), clock_nanosleep(2).
#include <sys/time.h>

#include "case.h"

static volatile int alarms, last_value, last_code, last_overrun;
static timer_t current;

static void on_alarm(int signo, siginfo_t* info, void* context) {
  (void)signo, (void)context;
  last_value = info->si_value.sival_int;
  last_code = info->si_code;
  // The first one that is waited for: on a busy machine the next may come before anybody looks.
  if (info->si_code == SI_TIMER && last_overrun == -1) last_overrun = timer_getoverrun(current);
  alarms++;
}

static void wait_for(int count) {
  for (int i = 0; i < 5000 && alarms < count; i++) sleep_ms(1);
}

static void run(void) {
  struct sigaction action = {.sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO};
  sigaction(SIGALRM, &action, NULL);
  sigaction(SIGVTALRM, &action, NULL);
  sigaction(SIGPROF, &action, NULL);
  sigaction(SIGRTMIN, &action, NULL);

  equals("alarm", 0, alarm(100));
  equals("alarm() tells what was left", 100, alarm(0));
  struct itimerval interval = {{0, 10000}, {0, 10000}}, old;
  works("setitimer(ITIMER_REAL)", setitimer(ITIMER_REAL, &interval, NULL));
  wait_for(3);
  check("it repeats", alarms >= 3);
  equals("si_code", SI_KERNEL, last_code);
  works("getitimer", getitimer(ITIMER_REAL, &old));
  equals("its interval", 10000, old.it_interval.tv_usec);
  interval = (struct itimerval){{0, 0}, {0, 0}};
  must(setitimer(ITIMER_REAL, &interval, &old));
  alarms = 0;
  sleep_ms(40);
  equals("disarmed", 0, alarms);
  interval.it_value.tv_usec = 1000000;
  fails("a million microseconds", EINVAL, setitimer(ITIMER_REAL, &interval, NULL));
  fails("no such timer", EINVAL, getitimer(9, &old));
  interval.it_value.tv_usec = 20000;
  must(setitimer(ITIMER_VIRTUAL, &interval, NULL));
  long start = now_ms();
  while (alarms == 0 && now_ms() - start < 60000) {
  }
  equals("ITIMER_VIRTUAL counts our own time", 1, alarms);
  must(setitimer(ITIMER_REAL, &interval, NULL));
  pid_t pid = must(fork());
  if (pid == 0) {
    getitimer(ITIMER_REAL, &old);
    _exit(old.it_value.tv_usec == 0 && old.it_value.tv_sec == 0 ? 0 : 1);
  }
  equals("a child has no timers", 0, status_of(pid));

  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
  event.sigev_value.sival_int = 4711;
  works("timer_create", timer_create(CLOCK_MONOTONIC, &event, &current));
  struct itimerspec setting = {{0, 0}, {0, 10000000}}, left;
  wait_for(2);
  alarms = 0;
  works("timer_settime", timer_settime(current, 0, &setting, NULL));
  wait_for(1);
  equals("it expires once", 1, alarms);
  equals("SI_TIMER", SI_TIMER, last_code);
  equals("with its value", 4711, last_value);
  setting.it_interval.tv_nsec = 2000000;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  sigprocmask(SIG_BLOCK, &set, NULL);
  must(timer_settime(current, 0, &setting, NULL));
  sleep_ms(60);
  setting = (struct itimerspec){{0, 0}, {0, 0}};
  alarms = 0;
  last_overrun = -1;
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  for (int i = 0; i < 5000 && last_overrun == -1; i++) sleep_ms(1);
  check("expirations while blocked are overruns", last_overrun >= 5);
  must(timer_settime(current, 0, &setting, NULL));
  must(timer_gettime(current, &left));
  check("disarmed, too", left.it_value.tv_sec == 0 && left.it_value.tv_nsec == 0);
  works("timer_delete", timer_delete(current));
  struct sigevent wrong = {.sigev_notify = 99};
  fails("a wrong notification", EINVAL, timer_create(CLOCK_MONOTONIC, &wrong, &current));

  struct timespec time = {0, 1000000000}, before, after;
  fails("nanosleep() of a wrong time", EINVAL, nanosleep(&time, NULL));
  time.tv_nsec = 30000000;
  clock_gettime(CLOCK_MONOTONIC, &before);
  works("nanosleep", nanosleep(&time, NULL));
  clock_gettime(CLOCK_MONOTONIC, &after);
  long took = (after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec;
  check("it took as long as asked", took >= 30000000);
  before.tv_nsec += 50000000;
  if (before.tv_nsec >= 1000000000) before.tv_sec++, before.tv_nsec -= 1000000000;
  equals("clock_nanosleep() to a time", 0,
         clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &before, NULL));
  clock_gettime(CLOCK_MONOTONIC, &after);
  check("it is past", after.tv_sec > before.tv_sec ||
                          (after.tv_sec == before.tv_sec && after.tv_nsec >= before.tv_nsec));

  static const clockid_t clocks[] = {
      CLOCK_REALTIME,      CLOCK_MONOTONIC,       CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
      CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,   CLOCK_BOOTTIME};
  for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
    must(clock_gettime(clocks[i], &before));
    for (volatile int spin = 0; spin < 100000; spin++) {
    }
    must(clock_gettime(clocks[i], &after));
    check("a clock does not go back",
          after.tv_sec > before.tv_sec ||
              (after.tv_sec == before.tv_sec && after.tv_nsec >= before.tv_nsec));
  }
  fails("no such clock", EINVAL, clock_gettime(99, &before));
  works("clock_getres", clock_getres(CLOCK_MONOTONIC, &time));
  check("is fine", time.tv_sec == 0 && time.tv_nsec > 0);
  struct timeval day;
  works("gettimeofday", gettimeofday(&day, NULL));
  check("agrees with time()", labs((long)(day.tv_sec - (long)({
                                            time_t now_ = 0;
                                            clock_gettime(CLOCK_REALTIME, &time);
                                            now_ = time.tv_sec;
                                            now_;
                                          }))) <= 1);
}
