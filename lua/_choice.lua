-- Included by the select scripts after _nodes: chooses the node of a job. `chance` has what the choices of one call share:
-- now, seed, choices, removals_left. `looked`, unless it is nil, gets each node that was looked at.
local NOBODY = {} -- avoided by most jobs
local MODULUS = 2147483647
local LOOKED_MAX = 16 -- nodes that are returned for a job; the others are only counted

-- A whole number from 0 to below - 1 (Park and Miller's generator; exact in doubles).
local function draw(chance, below)
  chance.seed = chance.seed * 16807 % MODULUS
  return math.floor(chance.seed / MODULUS * below)
end

-- Load, slots and generation of `node` if it can take a job of the pair (given as ,zh:en,), else nil and why not.
local function room(node, wanted, now)
  local generation, _, slots, flags, served = node_record(node)
  if not generation then return nil, 'gone' end
  if lease_end(node) <= now then
    -- The lapse is decided once, for all clocks, and the sweep of leases finds a node without a lease, too.
    call('ZADD', LEASES, 0, node)
    return nil, 'lapsed'
  end
  if flags ~= '' then return nil, string.find(flags, 'd', 1, true) and 'draining' or 'resting' end
  if not string.find(served, wanted, 1, true) then return nil, 'other_pairs' end
  local load = load_of(node)
  if load >= slots then return nil, 'full' end
  return load, slots, generation
end

-- Adds to `looked` a node and what `room` returned for it; `word` is used when it has room.
local function note(looked, node, word, load, slots)
  looked.total = looked.total + 1
  if looked.total > LOOKED_MAX then return end
  if not load then word, load, slots = slots, '', '' end
  for _, value in ipairs({node, word, tostring(load), tostring(slots)}) do looked[#looked + 1] = value end
end

-- Node, generation, load and slots for a job of `pair`; '' and a word when there is none.
local function choose(pair, prefer, avoided, chance, looked)
  local wanted = ',' .. pair .. ','
  if prefer ~= '' and not avoided[prefer] then
    local load, slots, generation = room(prefer, wanted, chance.now)
    if looked then note(looked, prefer, 'preferred', load, slots) end
    if load then return prefer, generation, load, slots end
  end

  local first = call('ZLEXCOUNT', CAPACITY, '-', '(' .. pair .. '|')
  local size = call('ZLEXCOUNT', CAPACITY, '[' .. pair .. '|', '(' .. pair .. '}')
  local drawn, moved = 0, {} -- a shuffle of the ranks 0 to size - 1 as far as it got: what was moved where
  local stale = {} -- removed at the end, so that ranks do not change until then
  local compared = 0
  local best, best_generation, best_load, best_slots = '', ''
  local spare, spare_generation, spare_load, spare_slots = '', '' -- the best of the avoided ones

  while compared < chance.choices and drawn < size do
    local place = drawn + draw(chance, size - drawn)
    local rank = moved[place] or place
    moved[place] = moved[drawn] or drawn
    drawn = drawn + 1
    local entry = call('ZRANGE', CAPACITY, first + rank, first + rank)[1]
    local node = string.sub(entry, #pair + 2)
    local load, slots, generation = room(node, wanted, chance.now)
    if looked then note(looked, node, avoided[node] and 'avoided' or 'free', load, slots) end

    if not load then
      stale[#stale + 1] = entry
      chance.removals_left = chance.removals_left - 1
      if chance.removals_left <= 0 and drawn < size then
        if best == '' then spare, spare_generation = '', 'AGAIN' end
        break
      end
    elseif avoided[node] then
      if spare == '' or load * spare_slots < spare_load * slots then
        spare, spare_generation, spare_load, spare_slots = node, generation, load, slots
      end
    else
      compared = compared + 1
      if best == '' or load * best_slots < best_load * slots then
        best, best_generation, best_load, best_slots = node, generation, load, slots
      end
    end
  end

  if #stale > 0 then call('ZREM', CAPACITY, unpack(stale)) end
  if best ~= '' then return best, best_generation, best_load, best_slots end
  return spare, spare_generation, spare_load, spare_slots
end
