-- Included by the job scripts after _partition: the list of the jobs by place. Each place is given once, so the last entry has
-- the last place, and a place needs no number of its own.

-- The last place that was given, and the unfinished jobs.
local function last_place()
  local place, open = string.match(call('HGET', COUNTS, 'all') or '0|0', '^(%d+)|(%d+)')
  return tonumber(place), tonumber(open)
end

-- The place of the first entry.
local function oldest_place()
  return last_place() - call('LLEN', LISTED) + 1
end

-- The place of the job of a record; nil when it is forgotten. That of a job that began anew is another than before.
local function place_of(text)
  return tonumber(string.match(text or '', '^' .. string.rep('[^|]*|', 10) .. '(%d+)|'))
end
