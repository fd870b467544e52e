-- Returns {waiting, active, admitted, expired}. Admission happens in every script, by any instance, so the last two
-- are what has happened since the previous tick of any instance: each event is reported once, to one of them.
local function unreported(what)
  local total = tonumber(redis.call('HGET', TOTALS, what) or '0')
  local reported = tonumber(redis.call('HGET', TOTALS, what .. '_reported') or '0')
  if total > reported then
    redis.call('HSET', TOTALS, what .. '_reported', whole(total))
  end
  return total - reported
end

queue.settle()
-- What the bounded expiry has not reached yet is neither waiting nor active any more.
local waiting = line.length() - redis.call('ZCOUNT', DEADLINES, '-inf', now)
local active = redis.call('ZCOUNT', ACTIVE, '(' .. whole(now), '+inf')
return { waiting, active, unreported('admitted'), unreported('expired') }
