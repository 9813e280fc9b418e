-- Included by the select scripts after _choice: the batch of jobs that is in their ARGV (the head of select_node).
local FIRST_JOB, FIXED = 5, 5

-- Node and generation, or '' and a reply, for each job of `arguments`. `looks`, unless it is nil, gets for each job what
-- `choose` looked at: a list of node, word, load, slots, and their `total`.
local function select_batch(arguments, looks)
  local now, seed, choices = tonumber(arguments[1]), tonumber(arguments[2]), tonumber(arguments[3])
  local chance = {now = now, seed = seed, choices = choices, removals_left = tonumber(arguments[4])}
  local answers = {}
  local no_more = {} -- pair -> the reply for its further jobs in this call: no slot gets free within it
  local at = FIRST_JOB
  while at <= #arguments do
    local reservation, pair, due, prefer = arguments[at], arguments[at + 1], arguments[at + 2], arguments[at + 3]
    local avoid_count = tonumber(arguments[at + 4])
    local looked = looks and {total = 0}
    local node, generation = call('HGET', RESERVATIONS, reservation), nil
    if node then
      generation = node_record(node) or ''
    elseif no_more[pair] then
      node, generation = '', no_more[pair]
    else
      local avoided, load, slots = NOBODY, nil, nil
      if avoid_count > 0 then
        avoided = {}
        for i = at + FIXED, at + FIXED + avoid_count - 1 do avoided[arguments[i]] = true end
      end
      node, generation, load, slots = choose(pair, prefer, avoided, chance, looked)
      if node == '' then
        no_more[pair] = generation
      else
        take_slot(node, reservation, due)
        if load + 1 >= slots then call('ZREM', CAPACITY, pair .. '|' .. node) end
      end
    end
    answers[#answers + 1] = node
    answers[#answers + 1] = generation
    if looks then looks[#looks + 1] = looked end
    at = at + FIXED + avoid_count
  end
  return answers
end
