-- Purpose    For each job of a batch: choose a node of its pair with room and take a slot of it, fenced by job|attempt.
--            A repeated call answers what the first one took.
-- KEYS       leases about held holds due free (README.md)
-- ARGV       now          ms
--            seed         1 to 2^31 - 2, evenly drawn: all chance of this call
--            choices      nodes to compare for a job, at different ranks of the pair's free nodes; the least
--                         loaded in held/slots gets it, the first drawn on a tie
--            throws_max   stale entries of `free` that this call may throw out; each was paid for when it came in
--            (job|attempt pair due prefer avoid_count avoid*)*
--                         due      ms: when the hold ends by itself
--                         prefer   taken without comparing if it lives, serves the pair and has room; or ''
--                         avoid    nodes that get the job only when nobody else has room
-- Returns    for each     node generation      the slot is taken
--                         '' ''                nobody alive has room for the pair
--                         '' AGAIN             the throws ran out first; ask again at once
-- Called by  the dispatcher, at most one such call on its way

--- @include "_nodes"
--- @include "_holds"

local now, seed, choices, throws_left = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local FIRST_JOB = 5
local MODULUS = 2147483647

-- A whole number from 0 to below - 1 (Park and Miller's generator; exact in doubles).
local function draw(below)
  seed = seed * 16807 % MODULUS
  return math.floor(seed / MODULUS * below)
end

-- Load, slots and generation of `node` if it can take a job of `pair`, else nil.
local function room(node, pair)
  local generation, _, slots, flags, served = about(node)
  if not generation then return nil end
  if lease_end(node) <= now then
    -- Judged once, for all clocks; and a node without a lease comes before the sweep of leases.
    call('ZADD', LEASES, 0, node)
    return nil
  end
  if flags ~= '' or not string.find(',' .. served .. ',', ',' .. pair .. ',', 1, true) then return nil end
  local load = load_of(node)
  if load >= slots then return nil end
  return load, slots, generation
end

-- Node, generation, load and slots for a job of `pair`; '' and a word when there is none.
local function choose(pair, prefer, avoided)
  if prefer ~= '' and not avoided[prefer] then
    local load, slots, generation = room(prefer, pair)
    if load then return prefer, generation, load, slots end
  end

  local first = call('ZLEXCOUNT', FREE, '-', '(' .. pair .. '|')
  local size = call('ZLEXCOUNT', FREE, '[' .. pair .. '|', '(' .. pair .. '}')
  local drawn = {} -- ranks within the pair that turned out to have room, ascending
  local compared = 0
  local best, best_generation, best_load, best_slots = '', ''
  local spare, spare_generation, spare_load, spare_slots = '', ''

  while compared < choices and #drawn < size do
    local rank, place = draw(size - #drawn), 1
    while place <= #drawn and drawn[place] <= rank do
      rank = rank + 1
      place = place + 1
    end
    local entry = call('ZRANGE', FREE, first + rank, first + rank)[1]
    local node = string.sub(entry, #pair + 2)
    local load, slots, generation = room(node, pair)

    if not load then
      call('ZREM', FREE, entry)
      size = size - 1
      for later = place, #drawn do drawn[later] = drawn[later] - 1 end
      throws_left = throws_left - 1
      if throws_left <= 0 and #drawn < size then
        if best == '' then return '', 'AGAIN' end
        break
      end
    else
      table.insert(drawn, place, rank)
      if avoided[node] then
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
  end

  if best ~= '' then return best, best_generation, best_load, best_slots end
  return spare, spare_generation, spare_load, spare_slots
end

local answers = {}
local no_more = {} -- pair -> the word for all its further jobs in this call: nothing gets free meanwhile
local at = FIRST_JOB
while at <= #ARGV do
  local hold, pair, due, prefer, avoid_count = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], tonumber(ARGV[at + 4])
  local node, generation = call('HGET', HOLDS, hold), nil
  if node then
    generation = about(node) or ''
  elseif no_more[pair] then
    node, generation = '', no_more[pair]
  else
    local avoided, load, slots = {}, nil, nil
    for i = at + 5, at + 4 + avoid_count do avoided[ARGV[i]] = true end
    node, generation, load, slots = choose(pair, prefer, avoided)
    if node == '' then
      no_more[pair] = generation
    else
      take_slot(node, hold, due)
      if load + 1 >= slots then call('ZREM', FREE, pair .. '|' .. node) end
    end
  end
  answers[#answers + 1] = node
  answers[#answers + 1] = generation
  at = at + 5 + avoid_count
end
return answers
