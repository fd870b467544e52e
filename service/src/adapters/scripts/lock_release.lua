-- KEYS: lock. ARGV: the holder's token. Returns 1 when it was still the holder.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
