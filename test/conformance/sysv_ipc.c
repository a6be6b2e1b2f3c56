// Semaphore sets, message queues and shared memory: semop(2), msgop(2), shmop(2) and their kin.
#define HAS_ROLES
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "case.h"

union semun {
  int val;
  struct semid_ds* buf;
  unsigned short* array;
};

struct message {
  long type;
  char text[32];
};

static int semaphore(int id, int number, int change, int flags) {
  struct sembuf operation = {(unsigned short)number, (short)change, (short)flags};
  return semop(id, &operation, 1);
}

static int value(int id, int number) { return semctl(id, number, GETVAL); }

static int set;
static int queue;
static int segment;

static void takes_with_undo(void) {
  works("a child takes with SEM_UNDO", semaphore(set, 1, -3, SEM_UNDO));
}

static void keys(void) {
  key_t key = 0x6473 + getpid();
  fails("semget() of a key nobody made", ENOENT, semget(key, 1, 0));
  int id = works("semget() makes it", semget(key, 4, IPC_CREAT | 0600));
  check("semget() finds it", semget(key, 0, 0600) == id);
  fails("semget() with IPC_EXCL", EEXIST, semget(key, 1, IPC_CREAT | IPC_EXCL | 0600));
  fails("semget() of more than it has", EINVAL, semget(key, 5, 0600));
  fails("semget() of a new empty set", EINVAL, semget(IPC_PRIVATE, 0, 0600));
  works("IPC_RMID", semctl(id, 0, IPC_RMID));
  fails("semget() of a removed key", ENOENT, semget(key, 1, 0));
  fails("a removed set", EINVAL, semctl(id, 0, GETVAL));
}

static void semaphores(void) {
  set = must(semget(IPC_PRIVATE, 3, 0600));
  struct semid_ds info;
  works("IPC_STAT", semctl(set, 0, IPC_STAT, (union semun){.buf = &info}));
  equals("semaphores in the set", 3, info.sem_nsems);
  equals("its mode", 0600, info.sem_perm.mode);
  equals("no operation yet", 0, info.sem_otime);
  equals("a new semaphore's value", 0, value(set, 2));
  fails("taking what is not there with IPC_NOWAIT", EAGAIN, semaphore(set, 0, -1, IPC_NOWAIT));
  works("giving", semaphore(set, 0, 2, 0));
  works("taking", semaphore(set, 0, -1, 0));
  equals("what is left", 1, value(set, 0));
  check("who changed it", getpid() == semctl(set, 0, GETPID));
  fails("a semaphore beyond the set", EFBIG, semaphore(set, 3, 1, 0));
  fails("a value beyond 32767", ERANGE, semaphore(set, 0, 32767, 0));
  fails("waiting for 0 with IPC_NOWAIT", EAGAIN, semaphore(set, 0, 0, IPC_NOWAIT));
  fails("no operation at all", EINVAL, semop(set, NULL, 0));
  fails("too many operations", E2BIG, semop(set, (struct sembuf*)&set, 501));
  struct sembuf both[] = {{0, -1, IPC_NOWAIT}, {1, -1, IPC_NOWAIT}};
  fails("all operations or none", EAGAIN, semop(set, both, 2));
  equals("none", 1, value(set, 0));
  struct timespec soon = {0, 20000000};
  struct sembuf take = {1, -1, 0};
  fails("semtimedop() gives up", EAGAIN, semtimedop(set, &take, 1, &soon));
  unsigned short values[3] = {5, 6, 7};
  works("SETALL", semctl(set, 0, SETALL, (union semun){.array = values}));
  memset(values, 0, sizeof values);
  works("GETALL", semctl(set, 0, GETALL, (union semun){.array = values}));
  check("the values that were set", values[0] == 5 && values[1] == 6 && values[2] == 7);
  fails("SETVAL beyond 32767", ERANGE, semctl(set, 0, SETVAL, 32768));
  in_child("a child that takes", takes_with_undo);
  equals("given back at its end", 6, value(set, 1));
  works("SETVAL", semctl(set, 2, SETVAL, 0));

  pid_t child = must(fork());
  if (child == 0) _exit(semaphore(set, 2, -1, 0) == 0 ? 0 : 1);
  while (semctl(set, 2, GETNCNT) == 0) sleep_ms(1);
  equals("nobody waits for 0", 0, semctl(set, 2, GETZCNT));
  works("giving to who waits", semaphore(set, 2, 1, 0));
  equals("it went on", 0, status_of(child));
  child = must(fork());
  if (child == 0) _exit(semaphore(set, 2, -1, 0) == -1 ? errno : 0);
  while (semctl(set, 2, GETNCNT) == 0) sleep_ms(1);
  works("removing what somebody waits for", semctl(set, 0, IPC_RMID));
  equals("who waits hears of it", EIDRM, status_of(child));
}

static void messages(void) {
  queue = must(msgget(IPC_PRIVATE, 0600));
  struct message message = {.type = 3, .text = "three"};
  struct message got = {0};
  fails("msgrcv() from an empty queue", ENOMSG, msgrcv(queue, &got, 32, 0, IPC_NOWAIT));
  fails("a type of 0", EINVAL, msgsnd(queue, &(struct message){0, ""}, 1, 0));
  fails("a message too long", EINVAL, msgsnd(queue, &message, 8193, 0));
  works("msgsnd()", msgsnd(queue, &message, 6, 0));
  works("another", msgsnd(queue, &(struct message){1, "one"}, 4, 0));
  works("a third", msgsnd(queue, &(struct message){2, "two"}, 4, 0));
  struct msqid_ds info;
  works("IPC_STAT", msgctl(queue, IPC_STAT, &info));
  equals("messages", 3, info.msg_qnum);
  equals("bytes", 14, info.msg_cbytes);
  equals("room", 16384, info.msg_qbytes);
  check("who sent", getpid() == info.msg_lspid);
  fails("a buffer too small", E2BIG, msgrcv(queue, &got, 2, 0, 0));
  equals("the first of a type", 4, msgrcv(queue, &got, 32, 2, 0));
  same_text("its text", "two", got.text);
  equals("the lowest type up to 3", 4, msgrcv(queue, &got, 32, -3, 0));
  equals("which is", 1, got.type);
  equals("none but those of a type", 3, msgrcv(queue, &got, 3, 9, MSG_EXCEPT | MSG_NOERROR));
  equals("cut", 0, strncmp(got.text, "thr", 3));
  fails("no such type", ENOMSG, msgrcv(queue, &got, 32, 3, IPC_NOWAIT));

  pid_t child = must(fork());
  if (child == 0) _exit(msgrcv(queue, &got, 32, 7, 0) == 5 ? 0 : 1);
  works("of another type", msgsnd(queue, &(struct message){6, "six"}, 4, 0));
  works("for who waits", msgsnd(queue, &(struct message){7, "seven"}, 5, 0));
  equals("it got it", 0, status_of(child));
  info.msg_qbytes = 4;
  works("IPC_SET of less room", msgctl(queue, IPC_SET, &info));
  fails("a full queue", EAGAIN, msgsnd(queue, &message, 6, IPC_NOWAIT));
  child = must(fork());
  if (child == 0) _exit(msgrcv(queue, &got, 32, 9, 0) == -1 ? errno : 0);
  sleep_ms(5);
  works("IPC_RMID", msgctl(queue, IPC_RMID, NULL));
  int status = status_of(child);
  check("a receiver hears of it", status == EIDRM || status == EINVAL);
}

static void read_only(void) {
  char* at = shmat(segment, NULL, SHM_RDONLY);
  check("attached for reading", at != (void*)-1 && at[0] == 'w');
  fails("which mprotect() cannot change", EACCES, mprotect(at, 4096, PROT_READ | PROT_WRITE));
}

static void segments(void) {
  fails("a segment of nothing", EINVAL, shmget(IPC_PRIVATE, 0, 0600));
  segment = works("shmget()", shmget(IPC_PRIVATE, 10000, 0600));
  char* at = shmat(segment, NULL, 0);
  check("shmat()", at != (void*)-1 && ((uintptr_t)at & 4095) == 0);
  check("all of it is zero", at[0] == 0 && at[9999] == 0);
  struct shmid_ds info;
  works("IPC_STAT", shmctl(segment, IPC_STAT, &info));
  equals("its size", 10000, info.shm_segsz);
  equals("attachments", 1, info.shm_nattch);
  check("who made it", getpid() == info.shm_cpid);
  pid_t child = must(fork());
  if (child == 0) {
    strcpy(at, "written");
    _exit(shmctl(segment, IPC_STAT, &info) == 0 ? (int)info.shm_nattch : 99);
  }
  equals("a fork has it attached", 2, status_of(child));
  same_text("what it wrote", "written", at);
  in_child("a child that reads", read_only);
  char* again = shmat(segment, NULL, 0);
  check("attached twice", again != (void*)-1 && again != at);
  strcpy(again, "twice");
  same_text("the same memory", "twice", at);
  fails("shmat() at an odd address", EINVAL, shmat(segment, at + 1, 0));
  fails("shmat() over something", EINVAL, shmat(segment, at, 0));
  check("shmat() with SHM_REMAP", shmat(segment, again, SHM_REMAP) == again);
  same_text("still the same", "twice", again);
  works("shmdt()", shmdt(again));
  fails("shmdt() of what is not attached", EINVAL, shmdt(again));
  fails("shmdt() in the middle", EINVAL, shmdt(at + 4096));
  char* wanted = mmap(NULL, 16384, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  must(munmap(wanted, 16384));
  check("shmat() with SHM_RND", shmat(segment, wanted + 5, SHM_RND) == wanted);
  works("shmdt() of it", shmdt(wanted));
  works("IPC_RMID", shmctl(segment, IPC_RMID, NULL));
  same_text("it lives while it is attached", "twice", at);
  works("IPC_STAT of what will go", shmctl(segment, IPC_STAT, &info));
  check("SHM_DEST", (info.shm_perm.mode & SHM_DEST) != 0);
  works("the last shmdt()", shmdt(at));
  fails("then it is gone", EINVAL, shmctl(segment, IPC_STAT, &info));
  segment = must(shmget(IPC_PRIVATE, 4096, 0600));
  must((long)shmat(segment, NULL, 0));
  child = must(fork());
  if (child == 0) {
    char number[16];
    snprintf(number, sizeof number, "%d", segment);
    execl("/proc/self/exe", "sysv_ipc", "attachments", number, NULL);
    _exit(99);
  }
  equals("execve() detaches", 1, status_of(child));
  must(shmctl(segment, IPC_RMID, NULL));
}

static void play_role(void) {
  struct shmid_ds info;
  if (is_role("attachments")) {
    _exit(shmctl(atoi(program_arguments[2]), IPC_STAT, &info) == 0 ? (int)info.shm_nattch : 98);
  }
}

static void run(void) {
  keys();
  semaphores();
  messages();
  segments();
}
