-- Purpose    Say where a job waits: what comes before it.
-- KEYS       records waiting taken hungry due mail ended schedulers counts nodes enrolled flows turns listed hints (../README.md)
-- ARGV       job
-- Returns    its record, or '' when it is not known; when it waits, then
--            before   jobs of its line that come before it; a line is its pair, or its key where the order is fair
--            line     jobs of its line, itself included
--            higher   waiting jobs of its pair with a higher priority; 0 unless the order is fair
--            keys     keys of its pair and priority whose turn is before that of its key; 0 unless the order is fair
-- Called by  the feed of the partition: somebody asks why a job waits

--- @include "_partition"

local id = ARGV[1]
local text = call('HGET', RECORDS, id)
if not text then return {''} end
if string.sub(text, 1, 1) ~= WAITS then return {text} end

local function waiting_of(group, before)
  return call('ZLEXCOUNT', WAITING, '[' .. group .. '|', '(' .. (before or group .. '}'))
end

local skip = '[^|]*|'
local attempt, pair, place, first, turn = string.match(text, '^' .. string.rep(skip, 2) .. '(%d+)|' .. string.rep(skip, 6)
  .. '([^|]*)|(%d+)|(%d+)|' .. string.rep(skip, 3) .. '([^|]*)|')
local line, higher, keys = pair, 0, 0
if turn ~= '' then
  local priority, key = string.match(turn, '^(%d)%.%d+%.(.*)$')
  local lane = pair .. '|' .. priority
  if attempt ~= first then key = '' end -- it came back, and is before all keys
  line = lane .. '|' .. key
  for one = 1, tonumber(priority) - 1 do higher = higher + waiting_of(pair .. '|' .. one) end
  local start = string.match(call('HGET', TURNS, line) or '', '^w(.*)$')
  if start then keys = call('ZLEXCOUNT', FLOWS, '[' .. lane .. '|', '(' .. lane .. '|' .. start .. '|' .. key) end
end
local entry = line .. '|' .. place .. '|' .. id
return {text, tostring(waiting_of(line, entry)), tostring(waiting_of(line)), tostring(higher), tostring(keys)}
