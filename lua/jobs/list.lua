-- Purpose    List jobs by place, the newest first.
-- KEYS       records waiting taken hungry due mail ended schedulers counts nodes enrolled flows turns listed hints (../README.md)
-- ARGV       from    the highest place that is wanted; 0 = the newest
--            limit   places of this call, 1 to 500
-- Returns    next    the highest place below those of this call; 0 = there is none
--            count   of all jobs
--            (job record)*   of a long outcome only what is before its fourth |
-- Called by  the feed of the partition: somebody asks for all jobs

--- @include "_partition"
--- @include "_ends"
--- @include "_places"

local from, limit = tonumber(ARGV[1]), tonumber(ARGV[2])

local newest, open = last_place()
local oldest = oldest_place()
local last = from > 0 and math.min(from, newest) or newest
local first = math.max(oldest, last - limit + 1)
local answers = {string.format('%d', first > oldest and first - 1 or 0), string.format('%d', open + call('LLEN', ENDED))}
if first > last then return answers end

local ids = call('LRANGE', LISTED, first - oldest, last - oldest)
local texts = call('HMGET', RECORDS, unpack(ids))
for i = #ids, 1, -1 do
  local text = texts[i]
  if place_of(text) == first + i - 1 then
    local at = string.match(text, '^' .. string.rep('[^|]*|', 17) .. '()')
    if #text - at >= OUTCOME_MAX then
      text = string.sub(text, 1, at - 1) .. (string.match(text, '^[^|]*|[^|]*|%d+|%d+|', at) or '')
    end
    answers[#answers + 1], answers[#answers + 2] = ids[i], text
  end
end
return answers
