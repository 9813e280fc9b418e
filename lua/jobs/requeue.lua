-- Purpose    Give back jobs that the caller has taken: each waits again at its old place, at once or after a pause, or
--            has failed because it has no attempt left.
-- KEYS       records waiting taken hungry due mail ended schedulers counts nodes enrolled flows turns listed hints (../README.md)
-- ARGV       scheduler   that calls
--            now         ms
--            waiting     ms that a job may wait; one whose attempt is not counted goes on with the wait that it had
--            (job attempt counted pause reason)*
--                        counted   1: the attempt counts against attempts_max; 2: and its key pays again; 0: it does not
--                        pause     ms until it waits; 0 = at once
--                        reason    of a counted attempt; the outcome attempts_max|reason when it was the last
-- Returns    for each   OK       it waits, or will after the pause
--                       ENDED    it has failed; the scheduler of its client gets mail (end), also when it is the caller
--                       LATE     the attempt does not count, or this is a repeat
-- Called by  the feed of the partition: a node was lost, gave an error, was busy, or missed the time; no audio was found

--- @include "_partition"
--- @include "_groups"
--- @include "_batch"
--- @include "_keys"
--- @include "_ends"
--- @include "_whole"
--- @include "_turns"
--- @include "_waiting"
--- @include "_back"

local scheduler, now, waiting = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local FIRST, WIDTH = 4, 5

local batch = open_batch(scheduler, now, ARGV, FIRST, WIDTH)
local answers = {}
for at = FIRST, #ARGV, WIDTH do
  local id, attempt, counted, pause, reason = unpack(ARGV, at, at + WIDTH - 1)
  local j, word = job_of(batch, id), 'LATE'
  if j and j.state == RUNS and j.by == scheduler and j.attempt == attempt then
    take_out(batch, id, j)
    if counted ~= '0' then j.lost = string.format('%d', j.lost + 1) end
    word = 'OK'
    if counted ~= '0' and not has_attempts(j) then
      word = 'ENDED'
      finish(batch, id, j, FAILED, 'attempts_max|' .. reason, '')
    elseif pause ~= '0' then
      j.state, j.by = RESTS, ''
      put(batch, id, text_of(j))
      enter(batch, DUE, id, due_at(j, string.format('%d', now + pause)))
    else
      wait_again(batch, id, j, counted ~= '0' and string.format('%d', now + waiting) or j.until_ms)
    end
  end
  if word == 'OK' and counted == '2' and j.turn ~= '' then turns_of(batch).charge(j) end
  answers[#answers + 1] = word
end
close_queue(batch)
return answers
