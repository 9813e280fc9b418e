-- Purpose    Free the holds whose due time has come, so that none outlives everybody who knows of it.
-- KEYS       leases about held holds due free (README.md)
-- ARGV       now        ms
--            limit      holds of this call; the earliest due first
-- Returns    (job|attempt node)*   node is '' when nobody held it any more
-- Called by  the sweep of time-outs, again at once while it gets `limit` of them

--- @include "_nodes"
--- @include "_holds"

local now, limit = ARGV[1], ARGV[2]

local answers = {}
for _, hold in ipairs(call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, limit)) do
  local node = release(hold)
  if node == '' then call('ZREM', DUE, hold) end
  answers[#answers + 1] = hold
  answers[#answers + 1] = node
end
return answers
