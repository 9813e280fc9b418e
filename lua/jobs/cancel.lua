-- Purpose    End jobs that nobody wants any more, whatever their state and whoever has them.
-- KEYS       records waiting taken hungry due mail ended schedulers counts nodes enrolled flows turns listed hints (../README.md)
-- ARGV       scheduler   that calls
--            now         ms
--            (job state outcome)*   state: x cancelled, g given up with its session, f failed
-- Returns    for each   OK record      it has ended so; by and attempt name who ran it. Another scheduler that ran it gets
--                                      mail (stop), the scheduler of the client too (end), unless it is the caller
--                       ENDED record   it had ended before; also the answer to a repeat
--                       KEPT record    state g only: clients of other schedulers wait for it, so it goes on for them
--                       GONE ''        it is not known
-- Called by  the feed of the partition: a client cancels, its session ends, it does not want to wait any longer

--- @include "_partition"
--- @include "_groups"
--- @include "_batch"
--- @include "_keys"
--- @include "_ends"
--- @include "_whole"
--- @include "_turns"
--- @include "_waiting"
--- @include "_back"

local scheduler, now = ARGV[1], tonumber(ARGV[2])
local FIRST, WIDTH = 3, 3
local GIVEN_UP = 'g'

-- The caller has no client any more that waits for the job; returns whether another scheduler has one. Else nothing changes.
local function leave_client(batch, id, j)
  local clients = other_clients(batch, j)
  if #clients == 0 then return false end
  j.client = table.concat(clients, ',')
  put(batch, id, text_of(j))
  return true
end

local batch = open_batch(scheduler, now, ARGV, FIRST, WIDTH)
local answers = {}
for at = FIRST, #ARGV, WIDTH do
  local id, state, outcome = unpack(ARGV, at, at + WIDTH - 1)
  local j = job_of(batch, id)
  local word, record = 'GONE', ''
  if j and FINAL[j.state] then
    word, record = 'ENDED', text_of(j)
  elseif j and state == GIVEN_UP and leave_client(batch, id, j) then
    word, record = 'KEPT', text_of(j)
  elseif j then
    take_out(batch, id, j)
    if j.state == RUNS and j.by ~= scheduler then tell(batch, j.by, 'stop', id .. '|' .. j.attempt) end
    finish(batch, id, j, state, outcome, scheduler)
    word, record = 'OK', text_of(j)
  end
  answers[#answers + 1] = word
  answers[#answers + 1] = record
end
close_queue(batch)
return answers
