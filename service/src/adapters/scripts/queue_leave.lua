-- ARGV: user, visit. Returns 1 when it had a place, and gives the place to the next in line.
local user, visit = ARGV[6], ARGV[7]

queue.settle()
local state = queue.find(user, visit)[1]
if state == GONE then
  return 0
end
if state == ACTIVE_STATE then
  queue.forget_active(user)
else
  queue.forget_waiting(user)
end
queue.count('left', 1)
queue.admit()
return 1
