-- KEYS: lock, fence counter. ARGV: the holder's token, lifetime in ms. Returns the fence number, or 0 when held.
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return redis.call('INCR', KEYS[2])
end
return 0
