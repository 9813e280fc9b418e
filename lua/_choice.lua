-- Included by select_node after _nodes: which node gets a job. `chance` is what one call may use up: now, seed, choices,
-- throws_left.
local NOBODY = {} -- avoided by most jobs
local MODULUS = 2147483647

-- A whole number from 0 to below - 1 (Park and Miller's generator; exact in doubles).
local function draw(chance, below)
  chance.seed = chance.seed * 16807 % MODULUS
  return math.floor(chance.seed / MODULUS * below)
end

-- Load, slots and generation of `node` if it can take a job of the pair (given as ,zh:en,), else nil.
local function room(node, wanted, now)
  local generation, _, slots, flags, served = about(node)
  if not generation then return nil end
  if lease_end(node) <= now then
    -- Judged once, for all clocks; and a node without a lease comes before the sweep of leases.
    call('ZADD', LEASES, 0, node)
    return nil
  end
  if flags ~= '' or not string.find(served, wanted, 1, true) then return nil end
  local load = load_of(node)
  if load >= slots then return nil end
  return load, slots, generation
end

-- Node, generation, load and slots for a job of `pair`; '' and a word when there is none.
local function choose(pair, prefer, avoided, chance)
  local wanted = ',' .. pair .. ','
  if prefer ~= '' and not avoided[prefer] then
    local load, slots, generation = room(prefer, wanted, chance.now)
    if load then return prefer, generation, load, slots end
  end

  local first = call('ZLEXCOUNT', FREE, '-', '(' .. pair .. '|')
  local size = call('ZLEXCOUNT', FREE, '[' .. pair .. '|', '(' .. pair .. '}')
  local drawn, moved = 0, {} -- a shuffle of the ranks 0 to size - 1 as far as it got: what was moved where
  local stale = {} -- thrown out at the end, so that ranks stay as they are until then
  local compared = 0
  local best, best_generation, best_load, best_slots = '', ''
  local spare, spare_generation, spare_load, spare_slots = '', '' -- the best of the avoided ones

  while compared < chance.choices and drawn < size do
    local place = drawn + draw(chance, size - drawn)
    local rank = moved[place] or place
    moved[place] = moved[drawn] or drawn
    drawn = drawn + 1
    local entry = call('ZRANGE', FREE, first + rank, first + rank)[1]
    local node = string.sub(entry, #pair + 2)
    local load, slots, generation = room(node, wanted, chance.now)

    if not load then
      stale[#stale + 1] = entry
      chance.throws_left = chance.throws_left - 1
      if chance.throws_left <= 0 and drawn < size then
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

  if #stale > 0 then call('ZREM', FREE, unpack(stale)) end
  if best ~= '' then return best, best_generation, best_load, best_slots end
  return spare, spare_generation, spare_load, spare_slots
end
