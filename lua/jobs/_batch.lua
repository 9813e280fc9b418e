-- Included by the job scripts after _partition: what one call reads once and writes once. A batch is a value of the call;
-- each key is read and written with one command for all its jobs, so the commands of a call do not grow with them.
local ALL = 1000 -- schedulers of a partition that are looked at
local LATEST = 9007199254740991
local OUTCOME_MAX = 1000 -- bytes of an outcome that messages repeat

local function read_records(batch, ids)
  if #ids == 0 then return end
  for i, text in ipairs(call('HMGET', RECORDS, unpack(ids))) do
    if text then batch.jobs[ids[i]] = batch.jobs[ids[i]] or parse(text) end
  end
end

-- Reads the records of `ids`. `by` is the scheduler that calls, `now` its time in ms.
local function open_batch(by, now, ids)
  local batch = {
    by = by, now = now, jobs = {}, changed = {}, is_changed = {}, add = {}, remove = {}, mail = {}, ended = {}, waits = {},
    preferred = {}, pairs = {}, leases = {}, hints = {}, hinted = {}, turns = {}, times = {}, flows = {}, touched = {},
  }
  read_records(batch, ids)
  return batch
end

local function changed(batch, id, j)
  batch.jobs[id] = j
  if not batch.is_changed[id] then
    batch.is_changed[id] = true
    batch.changed[#batch.changed + 1] = id
  end
end

-- `member` enters the sorted set `key` (with a score, default 0) at the end of the call, or leaves it. Members leave first.
local function enter(batch, key, member, score)
  local list = batch.add[key] or {}
  batch.add[key] = list
  list[#list + 1] = score or 0
  list[#list + 1] = member
end

local function leave(batch, key, member)
  local list = batch.remove[key] or {}
  batch.remove[key] = list
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
  local text = ordered(count(batch, 'mail', 1)) .. '|' .. kind .. '|' .. rest
  enter(batch, MAIL, scheduler .. '|' .. text)
  if not batch.hints[scheduler] then
    batch.hints[scheduler] = {}
    batch.hinted[#batch.hinted + 1] = scheduler
  end
  local texts = batch.hints[scheduler]
  texts[#texts + 1] = text
end

-- Who takes jobs must be a member, else nobody adopts them: one that was removed comes back with a lease that has ended.
local function be_member(batch)
  if call('ZADD', SCHEDULERS, 'NX', 0, batch.by) == 1 then
    batch.leases[batch.by] = 0
    tell(batch, batch.by, 'born', '')
  end
end

-- Invites up to `most` living schedulers that are hungry for `pair`: first those that a job of the batch prefers, then the
-- one that has been hungry longest. One whose lease seems to have ended is invited, too, but does not count: the clock of
-- the caller may be ahead.
local function invite(batch, pair, most)
  local preferred, first, others = batch.preferred[pair], {}, {}
  for _, entry in ipairs(members_of(HUNGRY, pair, ALL)) do
    local scheduler = string.sub(entry, #pair + 19)
    local list = preferred and preferred[scheduler] and first or others
    list[#list + 1] = {entry, scheduler}
  end
  for _, list in ipairs({first, others}) do
    for _, one in ipairs(list) do
      if most <= 0 then return end
      local scheduler = one[2]
      call('ZREM', HUNGRY, one[1], scheduler .. '|' .. pair)
      tell(batch, scheduler, 'come', pair)
      if (lease_of(batch, scheduler) or 0) > batch.now then most = most - 1 end
    end
  end
end

-- The job waits at its place, until `until_ms` at the latest; a hungry scheduler will be invited.
local function wait(batch, id, j, until_ms)
  j.state, j.by, j.until_ms = WAITS, '', string.format('%d', until_ms)
  changed(batch, id, j)
  enter(batch, WAITING, waiting_entry(id, j))
  begin_turn(batch, j)
  enter(batch, DUE, id, due_at(j, until_ms))
  if not batch.waits[j.pair] then
    batch.waits[j.pair] = 0
    batch.pairs[#batch.pairs + 1] = j.pair
  end
  batch.waits[j.pair] = batch.waits[j.pair] + 1
  if j.prefer ~= '' then
    batch.preferred[j.pair] = batch.preferred[j.pair] or {}
    batch.preferred[j.pair][j.prefer] = true
  end
end

-- The caller takes the job under a new attempt: above all that the record and the caller (`floor`) have seen.
local function take(batch, id, j, floor)
  j.state, j.by, j.attempt = RUNS, batch.by, math.max(j.attempt, floor) + 1
  changed(batch, id, j)
  enter(batch, TAKEN, batch.by .. '|' .. id)
end

-- Removes the job from where its present state has put it.
local function take_out(batch, id, j)
  if j.state == RUNS then return leave(batch, TAKEN, j.by .. '|' .. id) end
  if j.state == WAITS then
    leave(batch, WAITING, waiting_entry(id, j))
    end_turn(batch, j)
  end
  leave(batch, DUE, id)
end

-- The members, but the caller, whose clients wait for the job.
local function other_clients(batch, j)
  local clients = {}
  for one in string.gmatch(j.client, '[^,]+') do
    if one ~= batch.by and lease_of(batch, one) then clients[#clients + 1] = one end
  end
  return clients
end

-- The caller has a client that waits for the job. The others that had one stay: a submit that was delayed must not take the
-- result from a client that has connected elsewhere since.
local function add_client(batch, j)
  if string.find(',' .. j.client .. ',', ',' .. batch.by .. ',', 1, true) then return false end
  local clients = other_clients(batch, j)
  clients[#clients + 1] = batch.by
  j.client = table.concat(clients, ',')
  return true
end

-- The caller has no client any more that waits for the job; returns whether another scheduler has one. Else nothing changes.
local function leave_client(batch, id, j)
  local clients = other_clients(batch, j)
  if #clients == 0 then return false end
  j.client = table.concat(clients, ',')
  changed(batch, id, j)
  return true
end

-- The job has ended. `told` is the scheduler that learns it from the answer of this call; the others whose clients wait for
-- it get a message, with the outcome unless it is long: then they read the record.
local function finish(batch, id, j, state, outcome, told)
  j.state, j.outcome, j.since, j.until_ms, j.prefer = state, outcome, string.format('%d', batch.now), '', ''
  changed(batch, id, j)
  count(batch, 'open', -1)
  count(batch, 'bytes', -tonumber(j.bytes))
  batch.ended[#batch.ended + 1] = id .. '|' .. j.since
  for one in string.gmatch(j.client, '[^,]+') do
    if one ~= told then
      if #outcome > OUTCOME_MAX then
        tell(batch, one, 'read', id)
      else
        tell(batch, one, 'end', id .. '|' .. state .. '|' .. j.by .. '|' .. outcome)
      end
    end
  end
end

local function write_members(batch, key)
  if batch.remove[key] then call('ZREM', key, unpack(batch.remove[key])) end
  if batch.add[key] then call('ZADD', key, unpack(batch.add[key])) end
end

-- Writes what the batch has collected and returns `answers`.
local function close(batch, answers)
  write_members(batch, HUNGRY) -- the caller must not be invited for what it has just declined
  for _, pair in ipairs(batch.pairs) do invite(batch, pair, batch.waits[pair]) end
  local records = {}
  for _, id in ipairs(batch.changed) do
    records[#records + 1] = id
    records[#records + 1] = text_of(batch.jobs[id])
  end
  if #records > 0 then call('HSET', RECORDS, unpack(records)) end
  for _, key in ipairs({WAITING, TAKEN, DUE, MAIL, ENROLLED}) do write_members(batch, key) end
  write_turns(batch)
  if #batch.ended > 0 then call('RPUSH', ENDED, unpack(batch.ended)) end
  if batch.counted then
    local counts = batch.counts
    call('HSET', COUNTS, 'all', string.format('%d|%d|%d|%d', counts.place, counts.open, counts.bytes, counts.mail))
  end
  for _, scheduler in ipairs(batch.hinted) do
    call('SPUBLISH', HINTS .. ':' .. scheduler, table.concat(batch.hints[scheduler], '\n'))
  end
  return answers
end

-- Every `width`th argument from `first` on: the names of the jobs of a call.
local function column(arguments, first, width)
  local found = {}
  for at = first, #arguments, width do found[#found + 1] = arguments[at] end
  return found
end
