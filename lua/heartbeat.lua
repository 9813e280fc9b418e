-- Purpose    Renew the leases of a batch of nodes.
-- KEYS       leases nodes held reservations due capacity (README.md)
-- ARGV       now        ms
--            lease      ms from now until the node counts as dead
--            (node generation)*
-- Returns    for each   OK         renewed; a beat never makes a lease shorter
--                       UNKNOWN    not known, or its lease has ended: it must be registered again
--                       REPLACED   a newer connection has the name; this one must close
-- Called by  the dispatcher, for all beats since the last flush

--- @include "_nodes"

local now, lease = tonumber(ARGV[1]), tonumber(ARGV[2])

local answers = {}
for i = 3, #ARGV, 2 do
  local node, generation = ARGV[i], ARGV[i + 1]
  local current = node_record(node)
  if not current then
    answers[#answers + 1] = 'UNKNOWN'
  elseif current ~= generation then
    answers[#answers + 1] = 'REPLACED'
  elseif lease_end(node) <= now then
    answers[#answers + 1] = 'UNKNOWN'
  else
    call('ZADD', LEASES, 'GT', now + lease, node)
    answers[#answers + 1] = 'OK'
  end
end
return answers
