sqlite3 :memory: <<'SQL'
create table t(x integer, y real, z text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000) insert into t select i, i / 7.0, 'v' || (i % 100) from n;
select count(*), sum(x), round(sum(y), 6) from t;
select z, count(*) from t group by z order by z limit 3;
select printf('%.10f', avg(y)) from t where z = 'v7';
SQL
