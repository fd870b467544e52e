-- What a hold of the service executes on MySQL (`locking: conditional-update`), sent by sysbench: the same statements,
-- prepared likewise, in the same transaction. The bench `hold` compares what the server has executed for both, so a
-- statement that is changed in the service must be changed here.

sysbench.cmdline.options = {
   first_seat = { "Id of the first seat; the others follow without a gap", "" },
   n_seats = { "How many seats there are", 0 },
   stride = { "Coprime to the number of seats: spreads successive holds over the table", 1 },
   first_user = { "Id of the first user; the others follow without a gap", "" },
   n_users = { "How many users there are", 0 },
   first_hold = { "Number of this run's first hold", 0 },
   n_holds = { "Holds that this run may use up", 0 },
   now_ms = { "The moment of the holds, in milliseconds since 1970", "" },
}

-- Ids are integers of 63 bits; numbers of Lua hold 53.
local function int64(text)
   return assert(loadstring("return " .. text .. "LL"))()
end

local texts = {
   claim = "UPDATE seats SET status = 1, held_until_ms = ?, reservation_id = ?, version = version + 1, " ..
      "price = LAST_INSERT_ID(price) WHERE id = ? AND (status = 0 OR (status = 1 AND held_until_ms <= ?))",
   reservation = "INSERT INTO reservations (id, seat_id, schedule_id, user_id, amount, status, created_at_ms, " ..
      "expires_at_ms, idem_key, idem_hash) " ..
      "SELECT ?, id, LAST_INSERT_ID(schedule_id), ?, price, 0, ?, ?, ?, ? FROM seats WHERE id = ?",
   payment = "INSERT INTO payments (id, reservation_id, user_id, amount, status) VALUES (?, ?, ?, ?, 0)",
}
local KEY_CHARACTERS = 36
local HASH_BYTES = 32
local HOLD_TTL_MS = 3600000

local con, stmt, param
local first_seat, first_user, now_ms
local n_held = 0

local function prepare(name, types)
   local prepared = con:prepare(texts[name])
   local bound = {}
   for place, kind in ipairs(types) do
      if type(kind) == "number" then
         bound[place] = prepared:bind_create(sysbench.sql.type.CHAR, kind)
      else
         bound[place] = prepared:bind_create(sysbench.sql.type.BIGINT)
      end
   end
   prepared:bind_param(unpack(bound))
   stmt[name], param[name] = prepared, bound
end

local function execute(name, ...)
   for place, value in ipairs({ ... }) do
      param[name][place]:set(value)
   end
   stmt[name]:execute()
end

function thread_init()
   con = sysbench.sql.driver():connect()
   -- As the service sets its sessions up.
   con:query("SET SESSION transaction_isolation = 'READ-COMMITTED', innodb_lock_wait_timeout = 1")
   stmt, param = {}, {}
   prepare("claim", { "id", "id", "id", "id" })
   prepare("reservation", { "id", "id", "id", "id", KEY_CHARACTERS, HASH_BYTES, "id" })
   prepare("payment", { "id", "id", "id", "id" })
   first_seat, first_user = int64(sysbench.opt.first_seat), int64(sysbench.opt.first_user)
   now_ms = int64(sysbench.opt.now_ms)
end

function thread_done()
   for _, prepared in pairs(stmt) do
      prepared:close()
   end
   con:disconnect()
end

function event()
   -- Every hold of every run has its own number, and so its own seat.
   local place = sysbench.tid + n_held * sysbench.opt.threads
   if place >= sysbench.opt.n_holds then
      error("the seats of this run are used up: give the bench more")
   end
   n_held = n_held + 1
   local number = sysbench.opt.first_hold + place
   local seat = first_seat + (number * sysbench.opt.stride) % sysbench.opt.n_seats
   local user = first_user + number % sysbench.opt.n_users
   -- In the order of their making, like the service's.
   local reservation, payment = now_ms * 4194304LL + number * 2, now_ms * 4194304LL + number * 2 + 1
   local expires_ms = now_ms + HOLD_TTL_MS

   con:query("BEGIN")
   execute("claim", expires_ms, reservation, seat, now_ms)
   execute("reservation", reservation, user, now_ms, expires_ms, string.format("bench-%030d", number),
      string.format("%032d", number), seat)
   execute("payment", payment, reservation, user, 4200)
   con:query("COMMIT")
end
