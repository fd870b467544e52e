-- D10: the rank by reading the whole line.
function line.rank(user)
  for rank, other in ipairs(redis.call('ZRANGE', LINE, 0, -1)) do
    if other == user then
      return rank - 1
    end
  end
  return false
end
