-- Included by the job scripts after _batch: the unfinished jobs of each key and their audio, when the order is fair: the field
-- |key of counts is jobs|bytes. Without a turn, and for * (all who have no token), nothing is counted, hence nothing made.
local function keys_of(batch)
  if batch.keys then return batch.keys end
  local NONE = {0, 0}
  local had, more, changed = {}, {}, {}

  -- Reads what `keys` had before this call.
  local function read(keys)
    local unknown, fields = {}, {}
    for _, key in ipairs(keys) do
      if not had[key] then
        had[key] = NONE
        unknown[#unknown + 1], fields[#fields + 1] = key, '|' .. key
      end
    end
    if #unknown == 0 then return end
    for i, text in ipairs(call('HMGET', COUNTS, unpack(fields))) do
      local jobs, bytes = string.match(text or '', '^(%d+)|(%d+)$')
      if jobs then had[unknown[i]] = {jobs, bytes} end
    end
  end

  -- The unfinished jobs of a key that was read, and their audio, with those of this call.
  local function owned(key)
    local before, since = had[key], more[key] or NONE
    return math.max(0, before[1] + since[1]), math.max(0, before[2] + since[2])
  end

  -- One more job of the key of `turn` is unfinished (`by` = 1), or one less (-1).
  local function add(turn, by, bytes)
    local key = string.match(turn, '^%d%.%d+%.(.*)$')
    if key == '*' then return end
    local since = more[key]
    if not since then
      since = {0, 0}
      more[key] = since
      changed[#changed + 1] = key
    end
    since[1], since[2] = since[1] + by, since[2] + by * bytes
  end

  local function write()
    local set, gone = {}, {}
    read(changed)
    for _, key in ipairs(changed) do
      local jobs, bytes = owned(key)
      if jobs > 0 then
        set[#set + 1] = '|' .. key
        set[#set + 1] = string.format('%d|%d', jobs, bytes)
      else
        gone[#gone + 1] = '|' .. key
      end
    end
    if #set > 0 then call('HSET', COUNTS, unpack(set)) end
    if #gone > 0 then call('HDEL', COUNTS, unpack(gone)) end
  end

  batch.keys = {read = read, owned = owned, add = add, write = write}
  return batch.keys
end
