-- Purpose    For each job of a batch: choose a node of its pair with room and take a slot of it, fenced by job|attempt.
--            A repeated call returns what the first one took.
-- KEYS       leases nodes held reservations due capacity (README.md)
-- ARGV       now          ms
--            seed         1 to 2^31 - 2, uniform: the only source of chance in this call
--            choices      nodes to compare for a job, at different ranks of the pair in the capacity index; the
--                         least loaded in load/slots gets it, the first drawn on a tie
--            removals_max   stale entries of the capacity index that this call may remove at most
--            (job|attempt pair due prefer avoid_count avoid*)*
--                         due      ms: when the reservation ends by itself
--                         prefer   taken without comparing if it lives, serves the pair and has room; or ''
--                         avoid    nodes that get the job only when nobody else has room
-- Returns    for each     node generation      the slot is taken
--                         '' ''                no live node has room for the pair
--                         '' AGAIN             removals_max was reached first; ask again at once
-- Called by  the dispatcher, at most one such call on its way

--- @include "_nodes"
--- @include "_reservations"
--- @include "_choice"
--- @include "_select"

return select_batch(ARGV)
