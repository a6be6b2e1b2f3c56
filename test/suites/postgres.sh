# A database of its own: made, filled, asked, loaded by four clients, stopped.
set -e
PATH=/usr/lib/postgresql/15/bin:$PATH LC_ALL=C
export PATH LC_ALL
data=$(mktemp -d)
cd "$data"
initdb -D "$data/db" >/dev/null
pg_ctl -D "$data/db" -o "-k $data -p 5499" -l "$data/log" -w start >/dev/null
ask() { psql -h "$data" -p 5499 -d postgres -Atqc "$1"; }
ask 'create table t(i int primary key, x text)'
ask 'insert into t select g, md5(g::text) from generate_series(1, 20000) g'
ask 'select count(*), max(x) from t'
ask "select sum(i) from t where x like 'a%'"
pgbench -h 127.0.0.1 -p 5499 -i -s 1 -q postgres 2>/dev/null
pgbench -h 127.0.0.1 -p 5499 -c 4 -t 25 postgres 2>&1 | grep -E 'processed|failed'
pg_ctl -D "$data/db" -m fast stop >/dev/null
