-- Purpose    Make the caller the one that answers for jobs: a node that runs them has come to it.
-- KEYS       records waiting taken hungry due mail ended schedulers counts nodes enrolled flows turns hints (../README.md)
-- ARGV       scheduler   that calls
--            now         ms
--            (job attempt)*
-- Returns    for each   OK record     it is the caller's from now on; the scheduler that had it gets mail (moved)
--                       GONE ''       this attempt does not count any more: the node must drop it
-- Called by  the feed of the partition, when a node registers with running jobs

--- @include "_partition"
--- @include "_turns"
--- @include "_batch"

local scheduler, now = ARGV[1], tonumber(ARGV[2])
local FIRST, WIDTH = 3, 2

local batch = open_batch(scheduler, now, column(ARGV, FIRST, WIDTH))
be_member(batch)
local answers = {}
for at = FIRST, #ARGV, WIDTH do
  local id, attempt = ARGV[at], ARGV[at + 1]
  local j = batch.jobs[id]
  local word, record = 'GONE', ''
  if j and j.state == RUNS and j.attempt == tonumber(attempt) then
    if j.by ~= scheduler then
      leave(batch, TAKEN, j.by .. '|' .. id)
      tell(batch, j.by, 'moved', id .. '|' .. attempt)
      j.by = scheduler
      enter(batch, TAKEN, scheduler .. '|' .. id)
      changed(batch, id, j)
    end
    word, record = 'OK', text_of(j)
  end
  answers[#answers + 1] = word
  answers[#answers + 1] = record
end
return close(batch, answers)
