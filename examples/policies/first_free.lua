-- A policy for `voxpool-sim policy --script examples/policies/first_free.lua`: the first free node in the order of names.
-- Production compares two nodes drawn by chance (lua/_choice.lua). A policy is one function, `choose`, which replaces
-- production's; it may call draw, room and note of lua/_choice.lua and all of lua/_nodes.lua.

-- Returns node, generation, load and slots for a job of `pair`; '' and '' when nobody has room. `chance.now` is the
-- time in ms; `avoided[node]` is true for nodes that failed the job; `looked` is nil unless the choice is explained.
local function choose(pair, prefer, avoided, chance, looked)
  local wanted = ',' .. pair .. ','
  local first = call('ZLEXCOUNT', CAPACITY, '-', '(' .. pair .. '|')
  local size = call('ZLEXCOUNT', CAPACITY, '[' .. pair .. '|', '(' .. pair .. '}')
  local stale, answer = {}, {'', ''}
  for place = 0, size - 1 do
    local entry = call('ZRANGE', CAPACITY, first + place, first + place)[1]
    local node = string.sub(entry, #pair + 2)
    local load, slots, generation = room(node, wanted, chance.now)
    if looked then note(looked, node, 'free', load, slots) end
    if load then
      answer = {node, generation, load, slots}
      if not avoided[node] then break end
    else
      stale[#stale + 1] = entry
    end
  end
  if #stale > 0 then call('ZREM', CAPACITY, unpack(stale)) end
  return unpack(answer)
end
