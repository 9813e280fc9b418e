-- Purpose    Write a node under a new generation: enter the pools that it serves and leave all others, settle its
--            reservations, start its lease. A repeated call (same generation) only renews the lease.
-- KEYS       leases nodes held reservations due capacity (README.md)
-- ARGV       now        ms
--            lease      ms from now until the node counts as dead
--            node, generation, process
--            slots      jobs that it runs at the same time
--            flags      of the new connection: any of d (draining) and r (resting), or ''. A process that was draining
--                       goes on draining; a rest ends with the connection unless it is named here
--            pairs      that it serves, with commas: zh:en,en:zh
--            replaces   the living generation of another process that may be replaced, or ''
--            (job|attempt due)*   its jobs; their reservations are kept, or made if no node has them; due in ms
-- Returns    OK freed*            freed: each job|attempt that it had and that isn't named
--            TAKEN generation     another process lives under this name; nothing was changed
-- Called by  the dispatcher: a node connected, or the store has forgotten one that is connected

--- @include "_nodes"
--- @include "_reservations"

local now, lease = tonumber(ARGV[1]), tonumber(ARGV[2])
local node, generation, process, slots, flags = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local served, replaces = ',' .. ARGV[8] .. ',', ARGV[9]
local FIRST_RESERVATION = 10

local old_generation, old_process, old_slots, old_flags, old_served = node_record(node)
local alive = lease_end(node) > now

if old_generation == generation then
  call('ZADD', LEASES, 'GT', now + lease, node)
  -- Draws have removed it while its lease was over.
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
for i = FIRST_RESERVATION, #ARGV, 2 do named[ARGV[i]] = true end
for _, reservation in ipairs(reservations_of(node)) do
  if not named[reservation] then
    free_slot(node, reservation)
    answer[#answer + 1] = reservation
  end
end
for i = FIRST_RESERVATION, #ARGV, 2 do
  local reservation, due = ARGV[i], ARGV[i + 1]
  if not call('HGET', RESERVATIONS, reservation) then take_slot(node, reservation, due) end
end

write_node_record(node, generation, process, slots, flags, served)
call('ZADD', LEASES, now + lease, node)
if flags == '' and load_of(node) < tonumber(slots) then open(node, served) end
return answer
