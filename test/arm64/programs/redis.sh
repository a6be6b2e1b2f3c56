redis-server --port 7777 --save '' --daemonize yes >/dev/null
for i in $(seq 100); do redis-cli -p 7777 ping 2>/dev/null | grep -q PONG && break; sleep 0.1; done
redis-cli -p 7777 set greeting hello
redis-cli -p 7777 get greeting
redis-cli -p 7777 eval 'local s = 0 for i = 1, 10000 do s = s + i end return s' 0
seq 1000 | sed 's/.*/rpush list &/' | redis-cli -p 7777 >/dev/null
redis-cli -p 7777 llen list
redis-cli -p 7777 shutdown nosave
