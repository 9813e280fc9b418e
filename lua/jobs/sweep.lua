-- Purpose    Forget jobs in the order in which they ended, and the oldest places whose jobs are forgotten.
-- KEYS       records waiting taken hungry due mail ended schedulers counts nodes enrolled flows turns listed hints (../README.md)
-- ARGV       before     ms: those that ended earlier are forgotten
--            keep       ended jobs that may stay; the oldest above it are forgotten, too
--            limit      jobs of this call, 1 to 500
-- Returns    count      of the jobs or places that were forgotten; with `limit`, call again at once
-- Called by  the members role of every scheduler, each second

--- @include "_partition"
--- @include "_places"

local before, keep, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local too_many = call('LLEN', ENDED) - keep
local ids, ends = {}, {}
for i, entry in ipairs(call('LRANGE', ENDED, 0, limit - 1)) do
  local id, ended = string.match(entry, '^(.*)|(%d+)$')
  if tonumber(ended) >= before and i > too_many then break end
  ids[i], ends[i] = id, ended
end
if #ids > 0 then
  local gone = {}
  for i, text in ipairs(call('HMGET', RECORDS, unpack(ids))) do
    local state, since = string.match(text or '', '^(%l)|[^|]*|%d+|[^|]*|%d+|%d+|%d*|[^|]*|(%d+)|')
    if FINAL[state or ''] and since == ends[i] then gone[#gone + 1] = ids[i] end -- else it began anew
  end
  if #gone > 0 then call('HDEL', RECORDS, unpack(gone)) end
  call('LTRIM', ENDED, #ids, -1)
end

local oldest, listed, places = oldest_place(), call('LRANGE', LISTED, 0, limit - 1), 0
if #listed > 0 then
  for i, text in ipairs(call('HMGET', RECORDS, unpack(listed))) do
    if place_of(text) == oldest + i - 1 then break end
    places = i
  end
  if places > 0 then call('LTRIM', LISTED, places, -1) end
end
return {tostring(math.max(#ids, places))}
