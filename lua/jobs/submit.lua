-- Purpose    Enter a batch of jobs. A job begins to run at the caller when it has room and none of the pair waits; else
--            it waits and a hungry scheduler is invited. The name of a job is its idempotency key: one that is known stays
--            as it is, gets the caller among its clients, and the new meta.
-- KEYS       records waiting taken hungry due mail ended schedulers counts nodes enrolled flows turns listed hints (../README.md)
-- ARGV       scheduler   that calls
--            now         ms
--            floor       the highest attempt that the caller has seen; 0 = none
--            waiting     ms that a job may wait
--            jobs_max bytes_max   bounds on the unfinished jobs of the partition and on their audio
--            waiting_max          bound on the waiting jobs of a pair
--            elsewhere            (key|jobs|bytes )*: what keys of this call have unfinished in other partitions
--            (job pair room bytes prefer turn rest)*
--                        room       1: the caller has reserved a slot for it; else 0
--                        bytes      of its audio, which is stored beside this script
--                        prefer     a scheduler that is invited before others, and before the caller takes the job for its
--                                   own slot; '' = any
--                        turn       priority.cost.key when the order is fair; '' = the order of the submits
--                        rest       expires|attempts_max|content|turn|meta|: the end of its record
--                                   expires   ms: when the client no longer wants it; 0 = never
--                                   content   a word for the content of the audio
--                                   meta      what the schedulers need beside
-- Returns    for each   WAIT ''
--                       GRANT attempt    it runs here; also the answer when it did already
--                       KNOWN record     it was known: its record of before this call
--                       CONFLICT ''      the name belongs to a job of another pair or content
--                       FULL reason      jobs_max, bytes_max, waiting_max or share (the key has its part of one of them); nothing is kept
--            A known job that failed before anybody took it, or was given up with its session (state g), begins anew.
-- Called by  the feed of the partition, for submits of clients; for all of them again after the store lost data

--- @include "_partition"
--- @include "_groups"
--- @include "_batch"
--- @include "_member"
--- @include "_keys"
--- @include "_ends"
--- @include "_whole"
--- @include "_turns"
--- @include "_waiting"

local scheduler, now, floor, waiting = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local jobs_max, bytes_max, waiting_max = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local elsewhere = ARGV[8]
local FIRST, WIDTH = 9, 7

local batch = open_batch(scheduler, now, ARGV, FIRST, WIDTH)
be_member(batch)
do
  local names, keys = {}, {}
  for at = FIRST, #ARGV, WIDTH do
    local pair, turn = ARGV[at + 1], ARGV[at + 5]
    if turn ~= '' then
      local way = turns_of(batch).way_of(pair, turn)
      names[#names + 1] = way.lane
      names[#names + 1] = way.flow
      if way.key ~= '*' then keys[#keys + 1] = way.key end
    end
  end
  if #names > 0 then batch.fair.read_turns(names) end
  if #keys > 0 then keys_of(batch).read(keys) end
end

local stored, added, listed = {}, {}, {}
-- The waiting jobs of a pair, a lane or a flow: those that are stored, and those of this call.
local function count_waiting(group)
  stored[group] = stored[group] or call('ZLEXCOUNT', WAITING, '[' .. group .. '|', '(' .. group .. '}')
  return stored[group] + (added[group] or 0)
end

-- The bound that has no room for a waiting job, if any. A key may have its weight times the room that is left; what waits
-- with a lower priority takes none of it. `*` are all who have no token.
local function full(pair, turn)
  local all, way = count_waiting(pair), turn ~= '' and batch.fair.way_of(pair, turn)
  if not way or way.key == '*' then return all >= waiting_max and 'waiting_max' or nil end
  if all * way.cost < COST * (waiting_max - all) then return nil end -- its own are not more, and the room is not less
  local left = waiting_max
  for one = 1, tonumber(way.priority) do left = left - count_waiting(pair .. '|' .. one) end
  return count_waiting(way.flow) * way.cost >= COST * left and 'share' or nil
end

-- Whether the key has its weight times the room that is left of jobs_max or bytes_max; one without a job may have one.
local function has_its_part(pair, turn, size)
  local way = turn ~= '' and batch.fair.way_of(pair, turn)
  if not way or way.key == '*' then return false end
  local jobs, bytes = batch.keys.owned(way.key)
  for key, its_jobs, its_bytes in string.gmatch(elsewhere, '([^| ]+)|(%d+)|(%d+)') do
    if key == way.key then jobs, bytes = jobs + its_jobs, bytes + its_bytes end
  end
  return jobs > 0 and (
    jobs * way.cost >= COST * (jobs_max - count(batch, 'open', 0))
    or (bytes + size) * way.cost > COST * (bytes_max - count(batch, 'bytes', 0))
  )
end

local function count_one_more(pair, turn)
  added[pair] = (added[pair] or 0) + 1
  if turn == '' then return end
  local way = batch.fair.way_of(pair, turn)
  added[way.lane], added[way.flow] = (added[way.lane] or 0) + 1, (added[way.flow] or 0) + 1
end

local function is_wanted_by(other, pair)
  return other ~= '' and other ~= scheduler and (lease_of(batch, other) or 0) > now
    and call('ZSCORE', HUNGRY, other .. '|' .. pair)
end

-- The caller has a client that waits for the job, which needs `meta`. The schedulers that had one stay: a submit that was
-- delayed must not take the result from a client that has connected elsewhere since.
local function add_client(id, j, meta)
  if not string.find(',' .. j.client .. ',', ',' .. scheduler .. ',', 1, true) then
    local clients = other_clients(batch, j)
    clients[#clients + 1] = scheduler
    j.client = table.concat(clients, ',')
  elseif j.meta == meta then
    return
  end
  j.meta = meta
  put(batch, id, text_of(j))
end

local since, until_ms, answers = string.format('%d', now), string.format('%d', now + waiting), {}
for at = FIRST, #ARGV, WIDTH do
  local id, pair, room, bytes, prefer, turn, rest = unpack(ARGV, at, at + WIDTH - 1)
  local j, word, said = job_of(batch, id), 'WAIT', ''
  local starts = room == '1' and count_waiting(pair) == 0
  local anew = j and (j.state == 'g' or j.state == FAILED and j.attempt == j.first)
  if j and not anew then
    local content, meta = string.match(rest, '^%d+|%d+|([^|]*)|[^|]*|([^|]*)|$')
    if j.pair ~= pair or j.content ~= content then
      word = 'CONFLICT'
    else
      word, said = 'KNOWN', batch.texts[id]
      if j.state == RUNS and j.by == scheduler then word, said = 'GRANT', j.attempt end
      if not FINAL[j.state] then add_client(id, j, meta) end
    end
  elseif count(batch, 'open', 0) >= jobs_max then
    word, said = 'FULL', 'jobs_max'
  elseif count(batch, 'bytes', 0) + bytes > bytes_max then
    word, said = 'FULL', 'bytes_max'
  elseif has_its_part(pair, turn, bytes) then
    word, said = 'FULL', 'share'
  elseif not starts and full(pair, turn) then
    word, said = 'FULL', full(pair, turn)
  else
    local first = j and j.attempt or '0'
    local attempt, place = first, string.format('%016d', count(batch, 'place', 1))
    listed[#listed + 1] = id
    count(batch, 'open', 1)
    count(batch, 'bytes', bytes)
    if turn ~= '' then keys_of(batch).add(turn, 1, bytes) end
    local head = WAITS .. '||'
    if starts and not is_wanted_by(prefer, pair) then
      attempt = string.format('%d', math.max(first, floor) + 1)
      head, word, said = RUNS .. '|' .. scheduler .. '|', 'GRANT', attempt
      enter(batch, TAKEN, scheduler .. '|' .. id)
    else
      count_one_more(pair, turn)
      local expires = string.match(rest, '^%d+')
      wait(batch, id, {
        pair = pair, turn = turn, place = place, expires = expires, prefer = prefer, attempt = first, first = first,
      }, until_ms)
    end
    put(batch, id, head .. attempt .. '|' .. scheduler .. '|0|' .. bytes .. '|' .. until_ms .. '|' .. prefer .. '|' .. since .. '|'
      .. pair .. '|' .. place .. '|' .. first .. '|' .. rest)
  end
  answers[#answers + 1], answers[#answers + 2] = word, said
end
if #listed > 0 then call('RPUSH', LISTED, unpack(listed)) end
close_queue(batch)
return answers
