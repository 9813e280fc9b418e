-- Purpose    Renew the lease of the caller; hand back what dead schedulers had, in slices, and remove them when nothing is left.
-- KEYS       records waiting taken hungry due mail ended schedulers counts nodes enrolled flows turns listed hints (../README.md)
-- ARGV       scheduler   that calls
--            now         ms
--            lease       ms from now until it counts as dead; 0: it leaves, and others adopt what it has at once
--            waiting     ms that a job may wait
--            limit       entries of each kind that are removed for a dead scheduler, 1 to 500
--            judge       1: schedulers whose lease has ended are dead; 0: nobody is (the store itself was away)
--            load        load|slots of the nodes of the caller, kept as long as it is a member; '' = another partition has the loads
--            key*        whose jobs are counted, 0 to 100 of them
-- Returns    OK          the lease went on
--            LAPSED      it had ended; others may have adopted what the caller had
--            NEW         it was no member (mail born says the same, since a repeat of this call answers OK)
--            then open bytes   the unfinished jobs of the partition, and their audio
--            then loads           (scheduler|load|slots )* of the members; '' for a caller without a load
--            then (jobs|bytes)*   the same of each key
--            then (dead count)*   jobs that were handed back; with `limit` of them, call again at once
--            A job without an attempt left has failed: attempts_max|scheduler_lost. The living get mail (look).
-- Called by  the members role, three times a lease

--- @include "_partition"
--- @include "_groups"
--- @include "_batch"
--- @include "_keys"
--- @include "_ends"
--- @include "_whole"
--- @include "_turns"
--- @include "_waiting"
--- @include "_back"

local scheduler, now, lease, waiting = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local limit, judges, load = tonumber(ARGV[5]), ARGV[6] == '1', ARGV[7]
local keys = {unpack(ARGV, 8)}
local DEAD_MAX = 4 -- dead schedulers of one call
local LATEST = 9007199254740991

local ended = call('ZSCORE', SCHEDULERS, scheduler)
call('ZADD', SCHEDULERS, now + lease, scheduler)

local dead, ids = {}, {}
for _, one in ipairs(judges and call('ZRANGEBYSCORE', SCHEDULERS, '-inf', now, 'LIMIT', 0, DEAD_MAX) or {}) do
  if one ~= scheduler then
    local its = {
      name = one, held = members_of(TAKEN, one, limit), letters = members_of(MAIL, one, limit),
      wishes = members_of(HUNGRY, one, limit), nodes = members_of(ENROLLED, one, limit),
    }
    dead[#dead + 1] = its
    for _, entry in ipairs(its.held) do ids[#ids + 1] = string.sub(entry, #one + 2) end
  end
end

local batch = open_batch(scheduler, now)
read_texts(batch, ids)
for _, its in ipairs(dead) do
  its.is_last = #its.held < limit and #its.letters < limit and #its.wishes < limit and #its.nodes < limit
  if its.is_last then
    call('ZREM', SCHEDULERS, its.name)
    call('HDEL', COUNTS, '@' .. its.name)
    batch.leases[its.name] = false -- no more mail for it
  end
end
local word, adopted = not ended and 'NEW' or tonumber(ended) <= now and 'LAPSED' or 'OK', {}
if not ended then tell(batch, scheduler, 'born', '') end

for _, its in ipairs(dead) do
  local one = its.name
  for _, entry in ipairs(its.held) do
    local id = string.sub(entry, #one + 2)
    local j = job_of(batch, id)
    leave(batch, TAKEN, entry)
    if j and j.state == RUNS and j.by == one then
      j.lost = string.format('%d', j.lost + 1)
      if has_attempts(j) then
        wait_again(batch, id, j, string.format('%d', now + waiting))
      else
        finish(batch, id, j, FAILED, 'attempts_max|scheduler_lost', '')
      end
    end
  end
  for _, entry in ipairs(its.letters) do leave(batch, MAIL, entry) end
  for _, mine in ipairs(its.wishes) do
    local pair = string.sub(mine, #one + 2)
    leave(batch, HUNGRY, mine)
    for _, entry in ipairs(members_of(HUNGRY, pair, ALL)) do
      if string.sub(entry, #pair + 19) == one then leave(batch, HUNGRY, entry) end
    end
  end
  for i, entry in ipairs(its.nodes) do
    leave(batch, ENROLLED, entry)
    its.nodes[i] = string.sub(entry, #one + 2)
  end
  if #its.nodes > 0 then call('HDEL', NODES, unpack(its.nodes)) end
  if its.is_last then -- it may have had invitations that it did not follow
    for _, other in ipairs(call('ZRANGEBYSCORE', SCHEDULERS, '-inf', LATEST, 'LIMIT', 0, ALL)) do
      tell(batch, other, 'look', '')
    end
  end
  adopted[#adopted + 1] = one
  adopted[#adopted + 1] = tostring(#its.held)
end
close_queue(batch)
local loads = {}
if load ~= '' then
  local members, fields = call('ZRANGEBYSCORE', SCHEDULERS, '-inf', LATEST, 'LIMIT', 0, ALL), {}
  for i, member in ipairs(members) do fields[i] = '@' .. member end
  call('HSET', COUNTS, '@' .. scheduler, load)
  for i, its_load in ipairs(call('HMGET', COUNTS, unpack(fields))) do
    if its_load then loads[#loads + 1] = members[i] .. '|' .. its_load end
  end
end
local answers = {word, tostring(count(batch, 'open', 0)), tostring(count(batch, 'bytes', 0)), table.concat(loads, ' ')}
if #keys > 0 then keys_of(batch).read(keys) end
for _, key in ipairs(keys) do answers[#answers + 1] = string.format('%d|%d', batch.keys.owned(key)) end
for _, text in ipairs(adopted) do answers[#answers + 1] = text end
return answers
