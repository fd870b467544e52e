-- D2: expiry removes a key that was never written, so an active token lives on.
function queue.expire_active(user)
  return redis.call('ZREM', ACTIVE, 'token:' .. user)
end

function queue.active_until(user)
  return redis.call('ZSCORE', ACTIVE, user)
end
