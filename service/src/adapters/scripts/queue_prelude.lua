-- What every script of the waiting queue shares. Scripts are put together in adapters/redis_queue.rs:
-- prelude, one of queue_line_*.lua, queue_rules.lua, then one operation.
--
-- tokens     hash  user -> visit          who has a place, and for which visit
-- line       zset or list of users        who waits, in order of arrival
-- deadlines  zset  user -> moment in ms   when a waiting place is given up
-- active     zset  user -> moment in ms   who is admitted, and until when
-- sequence   counter of arrivals
-- totals     hash of counters since the queue began
local LINE, ACTIVE, DEADLINES, TOKENS, SEQUENCE, TOTALS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]

local now = tonumber(ARGV[1])
local capacity = tonumber(ARGV[2])
local active_ttl = tonumber(ARGV[3])
local waiting_ttl = tonumber(ARGV[4])
-- The most tokens that one call moves, so that no call holds Redis for long.
local batch = tonumber(ARGV[5])

local GONE, WAITING, ACTIVE_STATE = 0, 1, 2

local line = {}
local queue = {}

-- Doubles print as 1.7e+12 unless told otherwise.
local function whole(number)
  return string.format('%.0f', number)
end
