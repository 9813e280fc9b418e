-- Purpose    A node is gone: it leaves every pool, its lease ends, what it held is free. All of it or nothing.
-- KEYS       leases about held holds due free (README.md)
-- ARGV       node
--            generation      that is gone; '' for what is left of a node that has no `about`
--            lapsed_before   ms: do nothing unless its lease had ended by then; '' = whatever its lease
-- Returns    OK freed*       freed: each job|attempt that it held
--            UNKNOWN         no such node
--            REPLACED        a newer generation has the name; nothing was changed
--            ALIVE           its lease goes on; nothing was changed
-- Called by  the dispatcher (a connection closed, an allocation was stale) and the sweep of leases (lapsed_before)

--- @include "_nodes"
--- @include "_holds"

local node, generation, lapsed_before = ARGV[1], ARGV[2], ARGV[3]

local current, _, _, _, served = about(node)
if not current and generation ~= '' then return {'UNKNOWN'} end
if current and current ~= generation then return {'REPLACED'} end
if lapsed_before ~= '' and lease_end(node) > tonumber(lapsed_before) then return {'ALIVE'} end

local answer = {'OK'}
for i, hold in ipairs(holds_of(node)) do
  free_slot(node, hold)
  answer[i + 1] = hold
end
local had_lease = call('ZREM', LEASES, node) == 1
if current then
  shut(node, served)
  call('HDEL', ABOUT, node)
elseif not had_lease and #answer == 1 then
  return {'UNKNOWN'}
end
return answer
