// 600 thousand rows through SQLite: inserted, indexed, summed, joined and sorted, in memory.
#include "sqlite3.h"
#include "workload.h"

static uint64_t sum_of_rows;

static int on_row(void* unused, int count, char** values, char** names) {
  (void)unused;
  (void)names;
  for (int i = 0; i < count; i++) {
    for (const char* c = values[i] ? values[i] : "-"; *c; c++)
      sum_of_rows = mix(sum_of_rows, (uint64_t)*c);
  }
  return 0;
}

static void run(sqlite3* db, const char* text) {
  char* message = NULL;
  if (sqlite3_exec(db, text, on_row, NULL, &message) != SQLITE_OK) {
    fprintf(stderr, "%s\n", message);
    exit(1);
  }
}

int main(int argc, char** argv) {
  long rows = size_of_run(argc, argv, 400000);
  sqlite3* db;
  if (sqlite3_open(":memory:", &db) != SQLITE_OK) return 1;
  run(db, "create table t(id integer primary key, word text, amount integer); begin");
  sqlite3_stmt* insert;
  if (sqlite3_prepare_v2(db, "insert into t(word, amount) values(?, ?)", -1, &insert, NULL) !=
      SQLITE_OK)
    return 1;
  uint64_t seed = 88172645463325252u;
  for (long i = 0; i < rows; i++) {
    char word[16];
    int length = snprintf(word, sizeof word, "w%05u", (unsigned)(next_random(&seed) % 60000));
    sqlite3_bind_text(insert, 1, word, length, SQLITE_TRANSIENT);
    sqlite3_bind_int64(insert, 2, (sqlite3_int64)(next_random(&seed) % 1000));
    if (sqlite3_step(insert) != SQLITE_DONE) return 1;
    sqlite3_reset(insert);
  }
  sqlite3_finalize(insert);
  run(db, "commit; create index by_word on t(word)");
  run(db, "select count(*), sum(amount), max(word) from t");
  run(db, "select word, sum(amount) s from t group by word order by s desc, word limit 20");
  run(db,
      "select count(*) from t a join t b on a.word = b.word where a.amount > 990 and b.amount < "
      "10");
  run(db, "select word from t where word like 'w0%7' order by amount, id limit 20");
  sqlite3_close(db);
  return report(sum_of_rows);
}
