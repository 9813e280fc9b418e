-- Purpose    Free the slots of a batch of attempts. Repeating is harmless: an attempt's number is never used again.
-- KEYS       leases about held holds due free (README.md)
-- ARGV       (job|attempt)*
-- Returns    for each   the node that held it, or '' when nobody did: no verdict, the first answer may be lost
-- Called by  the dispatcher: results, time-outs, cancelled jobs, stale allocations

--- @include "_nodes"
--- @include "_holds"

local answers = {}
for i, hold in ipairs(ARGV) do answers[i] = release(hold) end
return answers
