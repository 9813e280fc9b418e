-- Purpose    Write a node under a new generation: enter the pools that it serves and leave all others, settle what it
--            holds, start its lease. A repeat of the same call (same generation) renews the lease and does no more.
-- KEYS       leases about held holds due free (README.md)
-- ARGV       now        ms
--            lease      ms from now until the node is taken for dead
--            node, generation, process
--            slots      jobs that it runs at the same time
--            flags      of the new connection: any of d (draining) and r (resting), or ''. A process that was draining
--                       goes on draining; a rest ends with the connection unless it is named here
--            pairs      that it serves, with commas: zh:en,en:zh
--            replaces   the living generation of another process that may be replaced, or ''
--            (job|attempt due)*   what it runs by right; kept, or taken when nobody holds it; due in ms
-- Returns    OK freed*            freed: each job|attempt that it held and that isn't named
--            TAKEN generation     another process lives under this name; nothing was changed
-- Called by  the dispatcher: a node connected, or the store has forgotten one that is connected

--- @include "_nodes"
--- @include "_holds"

local now, lease = tonumber(ARGV[1]), tonumber(ARGV[2])
local node, generation, process, slots, flags = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local served, replaces = ',' .. ARGV[8] .. ',', ARGV[9]
local FIRST_HOLD = 10

local old_generation, old_process, old_slots, old_flags, old_served = about(node)
local alive = lease_end(node) > now

if old_generation == generation then
  call('ZADD', LEASES, 'GT', now + lease, node)
  -- Draws have thrown it out while its lease was over.
  if not alive and old_flags == '' and load_of(node) < old_slots then open(node, old_served) end
  return {'OK'}
end

if old_generation then
  if old_process ~= process and alive and old_generation ~= replaces then return {'TAKEN', old_generation} end
  local goes_on_draining = old_process == process and string.find(old_flags, 'd', 1, true)
  if goes_on_draining and not string.find(flags, 'd', 1, true) then flags = flags .. 'd' end
  shut(node, old_served)
end

local answer, named = {'OK'}, {}
for i = FIRST_HOLD, #ARGV, 2 do named[ARGV[i]] = true end
for _, hold in ipairs(holds_of(node)) do
  if not named[hold] then
    free_slot(node, hold)
    answer[#answer + 1] = hold
  end
end
for i = FIRST_HOLD, #ARGV, 2 do
  local hold, due = ARGV[i], ARGV[i + 1]
  if not call('HGET', HOLDS, hold) then take_slot(node, hold, due) end
end

write_about(node, generation, process, slots, flags, served)
call('ZADD', LEASES, now + lease, node)
if flags == '' and load_of(node) < tonumber(slots) then open(node, served) end
return answer
