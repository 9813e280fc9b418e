-- Included by the job scripts after _partition: what one call reads once and writes once. A batch is a value of the call;
-- each key is read and written with one command for all its jobs, so the commands of a call do not grow with them.

-- Reads the records of `ids`: `texts` has them as they are at the end of the call so far.
local function read_texts(batch, ids)
  if #ids == 0 then return end
  for i, text in ipairs(call('HMGET', RECORDS, unpack(ids))) do batch.texts[ids[i]] = text end
end

-- `by` is the scheduler that calls, `now` its time in ms; `width` `arguments` from `first` on are a job, beginning with its name.
local function open_batch(by, now, arguments, first, width)
  local batch = {by = by, now = now, texts = {}, records = {}, add = {}, remove = {}, leases = {}}
  if arguments then
    local ids = {}
    for at = first, #arguments, width do ids[#ids + 1] = arguments[at] end
    read_texts(batch, ids)
  end
  return batch
end

-- The record of a job changes.
local function put(batch, id, text)
  local records = batch.records
  local count = #records
  records[count + 1], records[count + 2] = id, text
  batch.texts[id] = text
end

-- `member` enters the sorted set `key` (with a score, default 0) at the end of the call, or leaves it. Members leave first.
local function enter(batch, key, member, score)
  local list = batch.add[key]
  if not list then
    list = {}
    batch.add[key] = list
  end
  local count = #list
  list[count + 1], list[count + 2] = score or '0', member
end

local function leave(batch, key, member)
  local list = batch.remove[key]
  if not list then
    list = {}
    batch.remove[key] = list
  end
  list[#list + 1] = member
end

-- Adds `by` to the count `name` of the partition (place, open, bytes, mail) and returns it.
local function count(batch, name, by)
  local counts = batch.counts
  if not counts then
    local place, open, bytes, mail = string.match(call('HGET', COUNTS, 'all') or '0|0|0|0', '^(%d+)|(%d+)|(%d+)|(%d+)$')
    counts = {place = tonumber(place), open = tonumber(open), bytes = tonumber(bytes), mail = tonumber(mail)}
    batch.counts = counts
  end
  if by ~= 0 then
    counts[name] = math.max(0, counts[name] + by)
    batch.counted = true
  end
  return counts[name]
end

-- When the lease of `scheduler` ends, ms; nil when it is not a member.
local function lease_of(batch, scheduler)
  local lease = batch.leases[scheduler]
  if lease == nil then
    lease = tonumber(call('ZSCORE', SCHEDULERS, scheduler) or false) or false
    batch.leases[scheduler] = lease
  end
  return lease or nil
end

-- A message for a member: stored until it is acknowledged, and published at the end of the call as a hint, together with
-- the others for it: a line each. Others get none.
local function tell(batch, scheduler, kind, rest)
  if not lease_of(batch, scheduler) then return end
  local text = string.format('%016d|%s|', count(batch, 'mail', 1), kind) .. rest
  enter(batch, MAIL, scheduler .. '|' .. text)
  batch.hints = batch.hints or {}
  local texts = batch.hints[scheduler]
  if not texts then
    texts = {}
    batch.hints[scheduler] = texts
    batch.hints[#batch.hints + 1] = scheduler
  end
  texts[#texts + 1] = text
end

local function write_members(batch, key)
  if batch.remove[key] then call('ZREM', key, unpack(batch.remove[key])) end
  if batch.add[key] then call('ZADD', key, unpack(batch.add[key])) end
end

-- Writes what the batch has collected.
local function close(batch)
  if batch.ended then
    count(batch, 'open', -#batch.ended)
    count(batch, 'bytes', -batch.freed)
    call('RPUSH', ENDED, unpack(batch.ended))
  end
  if #batch.records > 0 then call('HSET', RECORDS, unpack(batch.records)) end
  write_members(batch, TAKEN)
  write_members(batch, DUE)
  write_members(batch, MAIL)
  write_members(batch, ENROLLED)
  if batch.counted then
    local counts = batch.counts
    call('HSET', COUNTS, 'all', string.format('%d|%d|%d|%d', counts.place, counts.open, counts.bytes, counts.mail))
  end
  if batch.keys then batch.keys.write() end
  for _, scheduler in ipairs(batch.hints or {}) do
    call('SPUBLISH', HINTS .. ':' .. scheduler, table.concat(batch.hints[scheduler], '\n'))
  end
end
