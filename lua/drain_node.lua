-- Purpose    No new jobs for a node, what it holds is kept; and back.
-- KEYS       leases about held holds due free (README.md)
-- ARGV       node, generation   of the connection that is meant; a repeat must not touch a newer one
--            flag       d (draining, until somebody ends it) or r (resting, for a while)
--            on         1 sets the flag, 0 takes it away; the node is drawn while it has none
-- Returns    OK | UNKNOWN | REPLACED
-- Called by  the dispatcher: a node drains, is busy, fails every job, or its rest is over

--- @include "_nodes"

local node, meant, flag, on = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'

local generation, process, slots, flags, served = about(node)
if not generation then return {'UNKNOWN'} end
if generation ~= meant then return {'REPLACED'} end

local is_set = string.find(flags, flag, 1, true)
if on and not is_set then
  flags = flags .. flag
elseif not on and is_set then
  flags = string.gsub(flags, flag, '')
end
write_about(node, generation, process, slots, flags, served)
if flags ~= '' then
  shut(node, served)
elseif load_of(node) < slots then
  open(node, served)
end
return {'OK'}
