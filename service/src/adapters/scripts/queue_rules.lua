-- The rules: expiry, admission, and where a user stands.

function queue.count(what, by)
  if by > 0 then
    redis.call('HINCRBY', TOTALS, what, by)
  end
end

-- A token is over at its moment, not after it.
function queue.is_over(moment)
  return tonumber(moment) <= now
end

function queue.forget_active(user)
  local removed = redis.call('ZREM', ACTIVE, user)
  redis.call('HDEL', TOKENS, user)
  return removed
end

-- Leaving and expiry end an active token in the same way.
function queue.expire_active(user)
  return queue.forget_active(user)
end

function queue.forget_waiting(user)
  line.remove(user)
  redis.call('HDEL', TOKENS, user)
  return redis.call('ZREM', DEADLINES, user)
end

-- Lets expired tokens go, at most `batch` of each kind. Those that are left over still count against the capacity,
-- so a backlog delays admission and never exceeds it.
function queue.expire()
  local expired = 0
  for _, user in ipairs(redis.call('ZRANGEBYSCORE', ACTIVE, '-inf', now, 'LIMIT', 0, batch)) do
    expired = expired + queue.expire_active(user)
  end
  for _, user in ipairs(redis.call('ZRANGEBYSCORE', DEADLINES, '-inf', now, 'LIMIT', 0, batch)) do
    expired = expired + queue.forget_waiting(user)
  end
  queue.count('expired', expired)
end

-- Fills free places from the head of the line. A head whose deadline has passed, but which the bounded expiry has
-- not reached, is let go here: it must not take the place of someone who still waits.
function queue.admit()
  local free = capacity - redis.call('ZCARD', ACTIVE)
  local steps = batch
  local admitted, expired = 0, 0
  while free > 0 and steps > 0 do
    local users = line.pop(math.min(free, steps))
    if #users == 0 then
      break
    end
    for _, user in ipairs(users) do
      local deadline = redis.call('ZSCORE', DEADLINES, user)
      redis.call('ZREM', DEADLINES, user)
      if queue.is_over(deadline) then
        redis.call('HDEL', TOKENS, user)
        expired = expired + 1
      else
        redis.call('ZADD', ACTIVE, now + active_ttl, user)
        admitted = admitted + 1
        free = free - 1
      end
    end
    steps = steps - #users
  end
  queue.count('admitted', admitted)
  queue.count('expired', expired)
end

function queue.settle()
  queue.expire()
  queue.admit()
end

-- Until when the user is admitted; false when it is not, or no longer.
function queue.active_until(user)
  local ends = redis.call('ZSCORE', ACTIVE, user)
  if ends and queue.is_over(ends) then
    queue.count('expired', queue.expire_active(user))
    return false
  end
  return ends
end

-- {state, ahead, moment when it ends}. Asking keeps a waiting place alive.
function queue.find(user, visit)
  if redis.call('HGET', TOKENS, user) ~= visit then
    return { GONE, 0, '0' }
  end
  local ends = queue.active_until(user)
  if ends then
    return { ACTIVE_STATE, 0, whole(tonumber(ends)) }
  end
  local deadline = redis.call('ZSCORE', DEADLINES, user)
  local ahead = line.rank(user)
  if not deadline or not ahead then
    return { GONE, 0, '0' }
  end
  if queue.is_over(deadline) then
    queue.count('expired', queue.forget_waiting(user))
    return { GONE, 0, '0' }
  end
  -- Instances' clocks differ a little: one that is behind must not shorten what another has promised.
  local later = math.max(tonumber(deadline), now + waiting_ttl)
  redis.call('ZADD', DEADLINES, later, user)
  return { WAITING, ahead, whole(later) }
end
