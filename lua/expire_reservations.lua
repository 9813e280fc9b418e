-- Purpose    Free the reservations whose due time has come, also those that no scheduler knows any more.
-- KEYS       leases nodes held reservations due capacity (README.md)
-- ARGV       now        ms
--            limit      reservations of this call; the earliest due first
-- Returns    (job|attempt node)*   node is '' when the reservation was gone already
-- Called by  the sweep of timeouts, again at once while it gets `limit` of them

--- @include "_nodes"
--- @include "_reservations"

local now, limit = ARGV[1], ARGV[2]

local answers = {}
for _, reservation in ipairs(call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, limit)) do
  local node = release(reservation)
  if node == '' then call('ZREM', DUE, reservation) end
  answers[#answers + 1] = reservation
  answers[#answers + 1] = node
end
return answers
