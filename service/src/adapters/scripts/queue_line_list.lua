-- The line as a list, for comparison: rank and removal walk it, so they are O(n).

function line.push(user)
  redis.call('RPUSH', LINE, user)
end

-- How many stand before the user; false when it is not in line.
function line.rank(user)
  return redis.call('LPOS', LINE, user)
end

function line.remove(user)
  redis.call('LREM', LINE, 1, user)
end

-- Takes the first users out of the line.
function line.pop(count)
  return redis.call('LPOP', LINE, count) or {}
end

function line.length()
  return redis.call('LLEN', LINE)
end
