-- The line as a sorted set by arrival number: rank, push and removal are O(log n).

function line.push(user)
  redis.call('ZADD', LINE, redis.call('INCR', SEQUENCE), user)
end

-- How many stand before the user; false when it is not in line.
function line.rank(user)
  return redis.call('ZRANK', LINE, user)
end

function line.remove(user)
  redis.call('ZREM', LINE, user)
end

-- Takes the first users out of the line.
function line.pop(count)
  local popped = redis.call('ZPOPMIN', LINE, count)
  local users = {}
  for i = 1, #popped, 2 do
    users[#users + 1] = popped[i]
  end
  return users
end

function line.length()
  return redis.call('ZCARD', LINE)
end
