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
--- @include "_choice"

local now, seed, choices, throws_max = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local chance = {now = now, seed = seed, choices = choices, throws_left = throws_max}
local FIRST_JOB, FIXED = 5, 5

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
    local avoided, load, slots = NOBODY, nil, nil
    if avoid_count > 0 then
      avoided = {}
      for i = at + FIXED, at + FIXED + avoid_count - 1 do avoided[ARGV[i]] = true end
    end
    node, generation, load, slots = choose(pair, prefer, avoided, chance)
    if node == '' then
      no_more[pair] = generation
    else
      take_slot(node, hold, due)
      if load + 1 >= slots then call('ZREM', FREE, pair .. '|' .. node) end
    end
  end
  answers[#answers + 1] = node
  answers[#answers + 1] = generation
  at = at + FIXED + avoid_count
end
return answers
