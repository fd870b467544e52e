-- D1: with no place free the range is 0..-1, which is everybody, and nobody is taken out of the line.
function queue.admit()
  local free = math.max(capacity - redis.call('ZCARD', ACTIVE), 0)
  local admitted = 0
  for _, user in ipairs(redis.call('ZRANGE', LINE, 0, free - 1)) do
    admitted = admitted + redis.call('ZADD', ACTIVE, 'NX', now + active_ttl, user)
    if free > 0 then
      redis.call('ZREM', DEADLINES, user)
    end
  end
  if free > 0 then
    redis.call('ZREMRANGEBYRANK', LINE, 0, free - 1)
  end
  queue.count('admitted', admitted)
end
