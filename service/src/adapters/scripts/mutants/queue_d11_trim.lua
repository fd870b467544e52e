-- ARGV: the users read before. Takes as many from the head of the line as were read, whoever stands there now.
for i = 6, #ARGV do
  queue.count('admitted', redis.call('ZADD', ACTIVE, 'NX', now + active_ttl, ARGV[i]))
  redis.call('ZREM', DEADLINES, ARGV[i])
end
redis.call('ZREMRANGEBYRANK', LINE, 0, #ARGV - 6)
return #ARGV - 5
