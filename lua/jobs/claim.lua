-- Purpose    Make the caller the one that answers for jobs: a node that runs them has come to it.
-- KEYS       records waiting taken hungry due mail ended schedulers counts nodes enrolled flows turns listed hints (../README.md)
-- ARGV       scheduler   that calls
--            now         ms
--            (job attempt)*
-- Returns    for each   OK record     it is the caller's from now on; the scheduler that had it gets mail (moved)
--                       GONE ''       this attempt does not count any more: the node must drop it
-- Called by  the feed of the partition, when a node registers with running jobs

--- @include "_partition"
--- @include "_batch"
--- @include "_member"

local scheduler, now = ARGV[1], tonumber(ARGV[2])
local FIRST, WIDTH = 3, 2

local batch = open_batch(scheduler, now, ARGV, FIRST, WIDTH)
be_member(batch)
local answers = {}
for at = FIRST, #ARGV, WIDTH do
  local id, attempt = ARGV[at], ARGV[at + 1]
  local record = batch.texts[id] or ''
  local word, state, by, its_attempt, rest = 'GONE', string.match(record, '^(%l)|([^|]*)|(%d+)(|.*)$')
  if state == RUNS and its_attempt == attempt then
    if by ~= scheduler then
      leave(batch, TAKEN, by .. '|' .. id)
      tell(batch, by, 'moved', id .. '|' .. attempt)
      enter(batch, TAKEN, scheduler .. '|' .. id)
      record = RUNS .. '|' .. scheduler .. '|' .. attempt .. rest
      put(batch, id, record)
    end
    word = 'OK'
  else
    record = ''
  end
  answers[#answers + 1] = word
  answers[#answers + 1] = record
end
close(batch)
return answers
