-- Purpose    List nodes whose lease has ended, the one that ended first comes first. It changes nothing.
-- KEYS       leases nodes held reservations due capacity (README.md)
-- ARGV       now        ms
--            limit      nodes of this call
-- Returns    (node generation)*   generation is '' when only the lease is left; node_offline takes both as they are
-- Called by  the sweep of leases, also for nodes that a dead scheduler has left

--- @include "_nodes"

local now, limit = ARGV[1], ARGV[2]

local answers = {}
for _, node in ipairs(call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', 0, limit)) do
  answers[#answers + 1] = node
  answers[#answers + 1] = node_record(node) or ''
end
return answers
