-- Purpose    Enter a batch of jobs. A job begins to run at the caller when it has room and none of the pair waits; else
--            it waits and a hungry scheduler is invited. The name of a job is its idempotency key: one that is known stays
--            as it is, gets the caller among its clients, and the new meta.
-- KEYS       records waiting taken hungry due mail ended schedulers counts hints (../README.md)
-- ARGV       scheduler   that calls
--            now         ms
--            floor       the highest attempt that the caller has seen; 0 = none
--            waiting     ms that a job may wait
--            jobs_max bytes_max   bounds on the unfinished jobs of the partition and on their audio
--            (job pair room expires attempts_max bytes content meta)*
--                        room       1: the caller has reserved a slot for it; else 0
--                        expires    ms: when the client no longer wants it; 0 = never
--                        bytes      of its audio, which is stored beside this script
--                        content    a word for the content of the audio, without |
--                        meta       what the schedulers need beside, without |
-- Returns    for each   WAIT ''
--                       GRANT attempt    it runs here; also the answer when it did already
--                       KNOWN record     it was known: its record of before this call
--                       CONFLICT ''      the name belongs to a job of another pair or content
--                       FULL reason      jobs_max or bytes_max; nothing is kept
--            A known job that failed before anybody took it, or was given up with its session (state g), begins anew.
-- Called by  the feed of the partition, for submits of clients; for all of them again after the store lost data

--- @include "_partition"
--- @include "_batch"

local scheduler, now, floor, waiting = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local jobs_max, bytes_max = tonumber(ARGV[5]), tonumber(ARGV[6])
local FIRST, WIDTH = 7, 8

local batch = open_batch(scheduler, now, column(ARGV, FIRST, WIDTH))
be_member(batch)

local somebody_waits = {}
local function is_next(pair)
  if somebody_waits[pair] == nil then somebody_waits[pair] = #members_of(WAITING, pair, 1) > 0 end
  return not somebody_waits[pair]
end

local answers = {}
for at = FIRST, #ARGV, WIDTH do
  local id, pair, room, expires, attempts_max, bytes, content, meta = unpack(ARGV, at, at + WIDTH - 1)
  local size = tonumber(bytes)
  local j, word, rest = batch.jobs[id], 'WAIT', ''
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
  else
    local attempt = j and j.attempt or 0
    count(batch, 'open', 1)
    count(batch, 'bytes', size)
    j = {
      place = string.format('%d', count(batch, 'place', 1)), pair = pair, client = scheduler, attempt = attempt,
      first = attempt, lost = 0, attempts_max = attempts_max, expires = expires, bytes = bytes,
      content = content, since = string.format('%d', now), meta = meta, outcome = '',
    }
    if room == '1' and is_next(pair) then
      take(batch, id, j, floor)
      word, rest = 'GRANT', tostring(j.attempt)
    else
      somebody_waits[pair] = true
      wait(batch, id, j, waiting)
    end
  end
  answers[#answers + 1] = word
  answers[#answers + 1] = rest
end
return close(batch, answers)
