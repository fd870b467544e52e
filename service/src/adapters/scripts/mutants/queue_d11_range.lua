-- Returns the users who may be admitted.
queue.expire()
local free = math.min(capacity - redis.call('ZCARD', ACTIVE), batch)
if free <= 0 then
  return {}
end
return redis.call('ZRANGE', LINE, 0, free - 1)
