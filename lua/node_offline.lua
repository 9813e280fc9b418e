-- Purpose    Remove a node that is gone: from every pool, with its lease and its reservations, all or nothing.
-- KEYS       leases nodes held reservations due capacity (README.md)
-- ARGV       node
--            generation      that is gone; '' for the rest of a node that has no record
--            lapsed_before   ms: do nothing unless its lease had ended by then; '' = whatever its lease
-- Returns    OK freed*       freed: each job|attempt that it had
--            UNKNOWN         no such node
--            REPLACED        a newer generation has the name; nothing was changed
--            ALIVE           its lease goes on; nothing was changed
-- Called by  the dispatcher (a connection closed, an allocation was stale) and the sweep of leases (lapsed_before)

--- @include "_nodes"
--- @include "_reservations"

local node, generation, lapsed_before = ARGV[1], ARGV[2], ARGV[3]

local current, _, _, _, served = node_record(node)
if not current and generation ~= '' then return {'UNKNOWN'} end
if current and current ~= generation then return {'REPLACED'} end
if lapsed_before ~= '' and lease_end(node) > tonumber(lapsed_before) then return {'ALIVE'} end

local answer = {'OK'}
for i, reservation in ipairs(reservations_of(node)) do
  free_slot(node, reservation)
  answer[i + 1] = reservation
end
local had_lease = call('ZREM', LEASES, node) == 1
if current then
  shut(node, served)
  call('HDEL', NODE_RECORDS, node)
elseif not had_lease and #answer == 1 then
  return {'UNKNOWN'}
end
return answer
