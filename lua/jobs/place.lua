-- Purpose    Say where a job waits: what comes before it.
-- KEYS       records waiting taken hungry due mail ended schedulers counts nodes enrolled flows turns hints (../README.md)
-- ARGV       job
-- Returns    its record, or '' when it is not known; when it waits, then
--            before   jobs of its line that come before it; a line is its pair, or its key where the order is fair
--            line     jobs of its line, itself included
--            higher   waiting jobs of its pair with a higher priority; 0 unless the order is fair
--            keys     keys of its pair and priority whose turn is before that of its key; 0 unless the order is fair
-- Called by  the feed of the partition: somebody asks why a job waits

--- @include "_partition"
--- @include "_turns"

local id = ARGV[1]
local text = call('HGET', RECORDS, id)
if not text then return {''} end
local j = parse(text)
if j.state ~= WAITS then return {text} end

local function waiting_of(group, before)
  return call('ZLEXCOUNT', WAITING, '[' .. group .. '|', '(' .. (before or group .. '}'))
end

local entry = waiting_entry(id, j)
local line = string.sub(entry, 1, #entry - #id - 18) -- without |place|job
local higher, keys = 0, 0
if j.turn ~= '' then
  local lane, key = flow_name(j)
  for one = 1, tonumber((turn_of(j))) - 1 do higher = higher + waiting_of(j.pair .. '|' .. one) end
  local turn = string.match(call('HGET', TURNS, line) or '', '^w(%d+|%d+)|')
  if turn then keys = call('ZLEXCOUNT', FLOWS, '[' .. lane .. '|', '(' .. lane .. '|' .. turn .. '|' .. key) end
end
return {text, tostring(waiting_of(line, entry)), tostring(waiting_of(line)), tostring(higher), tostring(keys)}
