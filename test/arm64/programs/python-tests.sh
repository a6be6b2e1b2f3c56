ulimit -n 1024; cd /tmp && python3 -m test -q test_math test_struct test_float test_int test_long test_unicode test_re test_json test_dict test_list \
  test_set test_sort test_threading test_queue test_hashlib test_zlib test_sqlite3 test_cmath test_fractions test_decimal test_random \
  test_array test_bytes test_itertools test_functools test_generators test_coroutines test_statistics test_complex test_audioop 2>&1 |
  tail -n 1 | sed 's,^Tests result,Result,'
