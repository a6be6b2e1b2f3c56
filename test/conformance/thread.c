// Threads: pthreads(7), futex(2), clone(2), set_tid_address(2), robust futexes.
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "case.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_key_t key;
static __thread int local = 5;
static int counter, turns, destroyed;
static volatile int signalled;

static void* add(void* argument) {
  for (int i = 0; i < 1000; i++) {
    pthread_mutex_lock(&mutex);
    counter++;
    pthread_mutex_unlock(&mutex);
  }
  return argument;
}

static void* take_turns(void* argument) {
  long mine = (long)argument;
  for (int i = 0; i < 100; i++) {
    pthread_mutex_lock(&mutex);
    while (turns % 2 != mine) pthread_cond_wait(&condition, &mutex);
    turns++;
    pthread_cond_broadcast(&condition);
    pthread_mutex_unlock(&mutex);
  }
  return NULL;
}

static void* meet(void* argument) {
  (void)argument;
  return (void*)(long)(pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD);
}

static void* own_data(void* argument) {
  int good = local == 5;
  local = (int)(long)argument;
  pthread_setspecific(key, &local);
  sched_yield();
  return (void*)(long)(good && local == (int)(long)argument && pthread_getspecific(key) == &local);
}

static void destroy(void* value) {
  (void)value;
  __atomic_add_fetch(&destroyed, 1, __ATOMIC_SEQ_CST);
}

static void* sleep_for_ever(void* argument) {
  (void)argument;
  for (;;) sleep(100);
  return NULL;
}

static void on_signal(int signo) {
  (void)signo;
  signalled = (int)syscall(SYS_gettid);
}

static void* die_locked(void* argument) {
  pthread_mutex_lock(argument);
  return NULL;
}

static int word;
static void* wake_later(void* argument) {
  (void)argument;
  sleep_ms(30);
  __atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0);
  return NULL;
}

static void* identity(void* argument) {
  pid_t* ids = argument;
  ids[0] = getpid();
  ids[1] = (pid_t)syscall(SYS_gettid);
  ids[2] = getppid();
  return NULL;
}

static void* exit_process(void* argument) {
  (void)argument;
  _exit(21);
}

static void* exec_process(void* argument) {
  (void)argument;
  execl("/bin/sh", "sh", "-c", "exit 22", NULL);
  _exit(1);
}

static void futexes(void) {
  struct timespec time = {0, 20000000};
  int value = 1;
  fails("FUTEX_WAIT with another value", EAGAIN, syscall(SYS_futex, &value, FUTEX_WAIT, 2, NULL));
  fails("FUTEX_WAIT with a timeout", ETIMEDOUT, syscall(SYS_futex, &value, FUTEX_WAIT, 1, &time));
  equals("FUTEX_WAKE of none", 0, syscall(SYS_futex, &value, FUTEX_WAKE, 1));
  fails("an unaligned futex", EINVAL, syscall(SYS_futex, (char*)&value + 1, FUTEX_WAIT, 1, &time));
  fails("a bad address", EFAULT, syscall(SYS_futex, (int*)4096, FUTEX_WAIT, 1, &time));
  fails("an unknown operation", ENOSYS, syscall(SYS_futex, &value, 99, 1, &time));
  fails("FUTEX_WAIT_BITSET of no bits", EINVAL,
        syscall(SYS_futex, &value, FUTEX_WAIT_BITSET, 1, NULL, NULL, 0));
  int* shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t pid = must(fork());
  if (pid == 0) {
    while (*(volatile int*)shared == 0) syscall(SYS_futex, shared, FUTEX_WAIT, 0, NULL);
    _exit(6);
  }
  sleep_ms(30);
  __atomic_store_n(shared, 1, __ATOMIC_SEQ_CST);
  syscall(SYS_futex, shared, FUTEX_WAKE, 1);
  equals("a futex between processes", 6, status_of(pid));
  pthread_t thread;
  pthread_create(&thread, NULL, wake_later, NULL);
  while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) == 0) {
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL);
  }
  equals("a futex between threads", 0, pthread_join(thread, NULL));
}

static void run(void) {
  pthread_t threads[100];
  void* result;
  int failed = 0;
  for (long i = 0; i < 100; i++) failed += pthread_create(&threads[i], NULL, add, (void*)i) != 0;
  equals("100 threads start", 0, failed);
  for (long i = 0; i < 100; i++) {
    pthread_join(threads[i], &result);
    failed += result != (void*)i;
  }
  equals("and end with their results", 0, failed);
  equals("a mutex excludes", 100000, counter);

  for (long i = 0; i < 2; i++) pthread_create(&threads[i], NULL, take_turns, (void*)i);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  equals("a condition variable wakes", 200, turns);

  pthread_barrier_init(&barrier, NULL, 5);
  long serial = 0;
  for (int i = 0; i < 5; i++) pthread_create(&threads[i], NULL, meet, NULL);
  for (int i = 0; i < 5; i++) {
    pthread_join(threads[i], &result);
    serial += (long)result;
  }
  equals("a barrier lets all go and names one", 1, serial);

  pthread_key_create(&key, destroy);
  long good = 0;
  for (long i = 0; i < 10; i++) pthread_create(&threads[i], NULL, own_data, (void*)(100 + i));
  for (int i = 0; i < 10; i++) {
    pthread_join(threads[i], &result);
    good += (long)result;
  }
  equals("each thread has its own data", 10, good);
  equals("destroyed at its end", 10, destroyed);
  equals("ours is untouched", 5, local);

  pthread_create(threads, NULL, sleep_for_ever, NULL);
  sleep_ms(10);
  equals("pthread_cancel", 0, pthread_cancel(*threads));
  pthread_join(*threads, &result);
  check("the thread was cancelled", result == PTHREAD_CANCELED);

  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGUSR1, &action, NULL);
  pthread_create(threads, NULL, sleep_for_ever, NULL);
  pthread_kill(*threads, SIGUSR1);
  for (int i = 0; i < 5000 && signalled == 0; i++) sleep_ms(1);
  check("pthread_kill() reaches that thread", signalled != 0 && signalled != getpid());
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  signalled = 0;
  kill(getpid(), SIGUSR1);
  for (int i = 0; i < 5000 && signalled == 0; i++) sleep_ms(1);
  check("a process's signal goes to a thread that takes it",
        signalled != 0 && signalled != getpid());
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  pthread_cancel(*threads);
  pthread_join(*threads, NULL);

  pthread_mutexattr_t attributes;
  pthread_mutex_t robust;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&robust, &attributes);
  pthread_create(threads, NULL, die_locked, &robust);
  pthread_join(*threads, NULL);
  equals("a robust mutex tells of its dead owner", EOWNERDEAD, pthread_mutex_lock(&robust));
  equals("and can be repaired", 0, pthread_mutex_consistent(&robust));
  pthread_mutex_unlock(&robust);

  pid_t ids[3];
  pthread_create(threads, NULL, identity, ids);
  pthread_join(*threads, NULL);
  check("a thread has its process's pid", ids[0] == getpid() && ids[2] == getppid());
  check("and its own tid", ids[1] != getpid());
  check("the first thread's tid is the pid", syscall(SYS_gettid) == getpid());
  fails("a thread that ended", ESRCH, syscall(SYS_tgkill, getpid(), ids[1], 0));

  pid_t pid = must(fork());
  if (pid == 0) {
    pthread_create(threads, NULL, exit_process, NULL);
    for (;;) pause();
  }
  equals("_exit() of a thread ends the process", 21, status_of(pid));
  pid = must(fork());
  if (pid == 0) {
    pthread_create(threads, NULL, exec_process, NULL);
    for (;;) pause();
  }
  equals("exec() of a thread replaces the process", 22, status_of(pid));
  pid = must(fork());
  if (pid == 0) {
    pthread_create(threads, NULL, sleep_for_ever, NULL);
    pid_t inner = fork();
    if (inner == 0) _exit(3);
    _exit(status_of(inner));
  }
  equals("fork() with threads", 3, status_of(pid));
  pid = must(fork());
  if (pid == 0) {
    pthread_create(threads, NULL, sleep_for_ever, NULL);
    *(volatile int*)8 = 1;
  }
  equals("a fault ends all threads", 128 + SIGSEGV, status_of(pid));

  sem_t semaphore;
  sem_init(&semaphore, 0, 1);
  sem_wait(&semaphore);
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec = 0;
  fails("sem_timedwait", ETIMEDOUT, sem_timedwait(&semaphore, &until));
  pthread_mutex_lock(&mutex);
  until.tv_sec -= 1;
  equals("pthread_cond_timedwait", ETIMEDOUT, pthread_cond_timedwait(&condition, &mutex, &until));
  pthread_mutex_unlock(&mutex);
  futexes();
}
