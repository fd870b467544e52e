-- KEYS: entry, version. ARGV: the stamp that the reader took, the entry, its lifetime in ms. Returns 1 when stored.
-- A change since the stamp was taken has moved the version: then what the reader saw is outdated.
if (redis.call('GET', KEYS[2]) or '0') ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
