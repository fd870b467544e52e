-- ARGV: user, the visit to use when the user has no place. Returns {visit, state, ahead, moment}.
local user, candidate = ARGV[6], ARGV[7]

queue.settle()
local visit = redis.call('HGET', TOKENS, user)
local standing = visit and queue.find(user, visit)
if not standing or standing[1] == GONE then
  visit = candidate
  redis.call('HSET', TOKENS, user, visit)
  line.push(user)
  redis.call('ZADD', DEADLINES, now + waiting_ttl, user)
  queue.count('entered', 1)
  -- With nobody ahead and a place free, the newcomer does not wait for the next call.
  queue.admit()
  local ends = redis.call('ZSCORE', ACTIVE, user)
  if ends then
    standing = { ACTIVE_STATE, 0, whole(tonumber(ends)) }
  else
    -- The last in line: the rank needs no search.
    standing = { WAITING, line.length() - 1, whole(now + waiting_ttl) }
  end
end
return { visit, standing[1], standing[2], standing[3] }
