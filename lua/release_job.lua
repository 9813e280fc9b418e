-- Purpose    Free the slots of a batch of attempts. Repeating is harmless: an attempt's number is never used again.
-- KEYS       leases nodes held reservations due capacity (README.md)
-- ARGV       (job|attempt)*
-- Returns    for each   the node that had it, or '' when there was none: the first answer may have been lost
-- Called by  the dispatcher: results, timeouts, cancelled jobs, stale allocations

--- @include "_nodes"
--- @include "_reservations"

local answers = {}
for i, reservation in ipairs(ARGV) do answers[i] = release(reservation) end
return answers
