-- ARGV: user, visit. Returns {state, ahead, moment}.
queue.settle()
return queue.find(ARGV[6], ARGV[7])
