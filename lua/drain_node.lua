-- Purpose    A node gets no new jobs and keeps its present ones; or gets new ones again.
-- KEYS       leases nodes held reservations due capacity (README.md)
-- ARGV       node, generation   of one connection; a repeated call must not change a newer one
--            flag       d (draining, until an administrator ends it) or r (resting, for a time)
--            on         1 sets the flag, 0 removes it; the node is drawn while it has no flag
-- Returns    OK | UNKNOWN | REPLACED
-- Called by  the dispatcher: a node drains, is busy, fails every job, or its rest is over

--- @include "_nodes"

local node, meant, flag, on = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'

local generation, process, slots, flags, served = node_record(node)
if not generation then return {'UNKNOWN'} end
if generation ~= meant then return {'REPLACED'} end

local is_set = string.find(flags, flag, 1, true)
if on and not is_set then
  flags = flags .. flag
elseif not on and is_set then
  flags = string.gsub(flags, flag, '')
end
write_node_record(node, generation, process, slots, flags, served)
if flags ~= '' then
  shut(node, served)
elseif load_of(node) < slots then
  open(node, served)
end
return {'OK'}
