-- Purpose    End a batch of jobs that the caller has taken.
-- KEYS       records waiting taken hungry due mail ended schedulers counts nodes enrolled flows turns hints (../README.md)
-- ARGV       scheduler   that calls
--            now         ms
--            (job attempt state outcome)*   state: c completed, f failed; outcome: any text of one line
-- Returns    for each   OK client    it has ended so; a repeat answers the same. The schedulers of its clients (a,b,…) get
--                                    mail (end), but not the caller
--                       LATE ''      the attempt does not count: another one runs, or the job has ended otherwise
-- Called by  the feed of the partition, for results of nodes

--- @include "_partition"
--- @include "_turns"
--- @include "_batch"

local scheduler, now = ARGV[1], tonumber(ARGV[2])
local FIRST, WIDTH = 3, 4

local batch = open_batch(scheduler, now, column(ARGV, FIRST, WIDTH))
local answers = {}
for at = FIRST, #ARGV, WIDTH do
  local id, attempt, state, outcome = unpack(ARGV, at, at + WIDTH - 1)
  local j = batch.jobs[id]
  local word, client = 'LATE', ''
  if j and j.by == scheduler and j.attempt == tonumber(attempt) then
    if j.state == RUNS then
      take_out(batch, id, j)
      finish(batch, id, j, state, outcome, scheduler)
      word, client = 'OK', j.client
    elseif j.state == state and j.outcome == outcome then
      word, client = 'OK', j.client
    end
  end
  answers[#answers + 1] = word
  answers[#answers + 1] = client
end
return close(batch, answers)
