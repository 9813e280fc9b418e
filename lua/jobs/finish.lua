-- Purpose    End a batch of jobs that the caller has taken.
-- KEYS       records waiting taken hungry due mail ended schedulers counts nodes enrolled flows turns listed hints (../README.md)
-- ARGV       scheduler   that calls
--            now         ms
--            (job attempt state outcome)*   state: c completed, f failed; outcome: any text of one line
-- Returns    for each   OK client    it has ended so; a repeat answers the same. The schedulers of its clients (a,b,…) get
--                                    mail (end), but not the caller
--                       LATE ''      the attempt does not count: another one runs, or the job has ended otherwise
-- Called by  the feed of the partition, for results of nodes

--- @include "_partition"
--- @include "_batch"
--- @include "_keys"
--- @include "_ends"

local scheduler, now = ARGV[1], tonumber(ARGV[2])
local FIRST, WIDTH = 3, 4
-- Until, prefer and since of a record change at its end; what is behind them is only extended by the outcome.
local HEAD = '^(%l)|([^|]*)|(%d+)|([^|]*)|(%d+)|(%d+)|%d*|[^|]*|%d+|()'
local TURN = '^[^|]*|%d+|%d+|%d+|%d+|[^|]*|([^|]+)'
local OUTCOME = '^[^|]*|%d+|%d+|%d+|%d+|[^|]*|[^|]*|[^|]*|(.*)$'

local batch = open_batch(scheduler, now, ARGV, FIRST, WIDTH)
local since, answers = string.format('%d', now), {}
for at = FIRST, #ARGV, WIDTH do
  local id, attempt, state, outcome = unpack(ARGV, at, at + WIDTH - 1)
  local text, word, client = batch.texts[id] or '', 'LATE', ''
  local its_state, by, its_attempt, clients, lost, bytes, rest = string.match(text, HEAD)
  if by == scheduler and its_attempt == attempt then
    if its_state == RUNS then
      leave(batch, TAKEN, by .. '|' .. id)
      put(batch, id, state .. '|' .. by .. '|' .. attempt .. '|' .. clients .. '|' .. lost .. '|' .. bytes .. '|||' .. since .. '|'
        .. string.sub(text, rest) .. outcome)
      local turn = string.match(text, TURN, rest)
      if turn then keys_of(batch).add(turn, -1, bytes) end
      tell_end(batch, id, since, bytes, clients, scheduler, state, by, outcome)
      word, client = 'OK', clients
    elseif its_state == state and string.match(text, OUTCOME, rest) == outcome then
      word, client = 'OK', clients
    end
  end
  answers[#answers + 1], answers[#answers + 2] = word, client
end
close(batch)
return answers
