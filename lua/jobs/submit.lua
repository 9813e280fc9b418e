-- Purpose    Enter a batch of jobs. A job begins to run at the caller when it has room and none of the pair waits; else
--            it waits and a hungry scheduler is invited. The name of a job is its idempotency key: one that is known stays
--            as it is, gets the caller among its clients, and the new meta.
-- KEYS       records waiting taken hungry due mail ended schedulers counts nodes enrolled flows turns hints (../README.md)
-- ARGV       scheduler   that calls
--            now         ms
--            floor       the highest attempt that the caller has seen; 0 = none
--            waiting     ms that a job may wait
--            jobs_max bytes_max   bounds on the unfinished jobs of the partition and on their audio
--            waiting_max          bound on the waiting jobs of a pair
--            (job pair room expires attempts_max bytes content prefer turn meta)*
--                        room       1: the caller has reserved a slot for it; else 0
--                        expires    ms: when the client no longer wants it; 0 = never
--                        bytes      of its audio, which is stored beside this script
--                        content    a word for the content of the audio, without |
--                        prefer     a scheduler that is invited before others, and before the caller takes the job for its
--                                   own slot; '' = any
--                        turn       priority.cost.key when the order is fair; '' = the order of the submits
--                        meta       what the schedulers need beside, without |
-- Returns    for each   WAIT ''
--                       GRANT attempt    it runs here; also the answer when it did already
--                       KNOWN record     it was known: its record of before this call
--                       CONFLICT ''      the name belongs to a job of another pair or content
--                       FULL reason      jobs_max, bytes_max, waiting_max or share (the key has its part of waiting_max); nothing is kept
--            A known job that failed before anybody took it, or was given up with its session (state g), begins anew.
-- Called by  the feed of the partition, for submits of clients; for all of them again after the store lost data

--- @include "_partition"
--- @include "_turns"
--- @include "_batch"

local scheduler, now, floor, waiting = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local jobs_max, bytes_max, waiting_max = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local FIRST, WIDTH = 8, 10

local batch = open_batch(scheduler, now, column(ARGV, FIRST, WIDTH))
be_member(batch)
do
  local names = {}
  for at = FIRST, #ARGV, WIDTH do
    local priority, _, key = turn_of({turn = ARGV[at + 8]})
    if priority then
      names[#names + 1] = ARGV[at + 1] .. '|' .. priority
      names[#names + 1] = names[#names] .. '|' .. key
    end
  end
  read_turns(batch, names)
end

local stored, added = {}, {}
-- The waiting jobs of a pair, a lane or a flow: those that are stored, and those of this call.
local function count_waiting(group)
  stored[group] = stored[group] or call('ZLEXCOUNT', WAITING, '[' .. group .. '|', '(' .. group .. '}')
  return stored[group] + (added[group] or 0)
end

-- The bound that has no room for a waiting job, if any. A key may have its weight times the room that is left; what waits
-- with a lower priority takes none of it. `*` are all who have no token.
local function full(j)
  local priority, cost, key = turn_of(j)
  if not priority or key == '*' then return count_waiting(j.pair) >= waiting_max and 'waiting_max' or nil end
  local left = waiting_max
  for one = 1, tonumber(priority) do left = left - count_waiting(j.pair .. '|' .. one) end
  local lane = j.pair .. '|' .. priority
  if count_waiting(lane) * tonumber(cost) < COST * left then return nil end -- its own are not more
  return count_waiting(lane .. '|' .. key) * tonumber(cost) >= COST * left and 'share' or nil
end

local function count_one_more(j)
  local groups = {j.pair}
  if j.turn ~= '' then
    local lane, key = flow_name(j)
    groups = {j.pair, lane, lane .. '|' .. key}
  end
  for _, group in ipairs(groups) do added[group] = (added[group] or 0) + 1 end
end

local function is_wanted_by(other, pair)
  return other ~= '' and other ~= scheduler and (lease_of(batch, other) or 0) > now
    and call('ZSCORE', HUNGRY, other .. '|' .. pair)
end

local answers = {}
for at = FIRST, #ARGV, WIDTH do
  local id, pair, room, expires, attempts_max, bytes, content, prefer, turn, meta = unpack(ARGV, at, at + WIDTH - 1)
  local size = tonumber(bytes)
  local j, word, rest = batch.jobs[id], 'WAIT', ''
  local starts = room == '1' and count_waiting(pair) == 0
  local anew = j and (j.state == 'g' or j.state == FAILED and j.attempt == tonumber(j.first))
  if j and not anew then
    if j.pair ~= pair or j.content ~= content then
      word = 'CONFLICT'
    else
      word, rest = 'KNOWN', text_of(j)
      if j.state == RUNS and j.by == scheduler then word, rest = 'GRANT', tostring(j.attempt) end
      if not FINAL[j.state] and (add_client(batch, j) or j.meta ~= meta) then
        j.meta = meta
        changed(batch, id, j)
      end
    end
  elseif count(batch, 'open', 0) >= jobs_max then
    word, rest = 'FULL', 'jobs_max'
  elseif count(batch, 'bytes', 0) + size > bytes_max then
    word, rest = 'FULL', 'bytes_max'
  elseif not starts and full({pair = pair, turn = turn}) then
    word, rest = 'FULL', full({pair = pair, turn = turn})
  else
    local attempt = j and j.attempt or 0
    count(batch, 'open', 1)
    count(batch, 'bytes', size)
    j = {
      place = string.format('%d', count(batch, 'place', 1)), pair = pair, client = scheduler, attempt = attempt,
      first = attempt, lost = 0, attempts_max = attempts_max, expires = expires, bytes = bytes,
      content = content, since = string.format('%d', now), prefer = prefer, turn = turn, meta = meta, outcome = '',
      until_ms = string.format('%d', now + waiting),
    }
    if starts and not is_wanted_by(prefer, pair) then
      take(batch, id, j, floor)
      word, rest = 'GRANT', tostring(j.attempt)
    else
      count_one_more(j)
      wait(batch, id, j, now + waiting)
    end
  end
  answers[#answers + 1] = word
  answers[#answers + 1] = rest
end
return close(batch, answers)
