-- KEYS: entry, version. ARGV: how long the version is kept in ms, far longer than any reader's query.
redis.call('INCR', KEYS[2])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[1])
return 1
