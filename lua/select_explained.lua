-- Purpose    Do what select_node does, in the same steps, and return which nodes it looked at for each job.
-- KEYS       leases nodes held reservations due capacity (README.md)
-- ARGV       as select_node
-- Returns    all that select_node returns; then, for each job in the same order
--                total count (node word load slots)*
--                         total    nodes looked at; the first `count` of them follow
--                         word     free, preferred or avoided: it has room (the least loaded in load/slots of the
--                                  free ones gets the job); else why it can't have the job: gone lapsed
--                                  draining resting other_pairs full
--                         load     before this job; it and slots are '' when the word says that it can't
-- Called by  the dispatcher, in place of select_node, when a job of the batch is to be explained (scheduler/core/why.py)

--- @include "_nodes"
--- @include "_reservations"
--- @include "_choice"
--- @include "_select"

local PARTS = 4 -- node word load slots

local looks = {}
local answers = select_batch(ARGV, looks)
for _, looked in ipairs(looks) do
  answers[#answers + 1] = tostring(looked.total)
  answers[#answers + 1] = tostring(#looked / PARTS)
  for _, value in ipairs(looked) do answers[#answers + 1] = value end
end
return answers
