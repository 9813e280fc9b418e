-- Purpose    For each job of a batch: choose a node of its pair with room and take a slot of it, fenced by job|attempt.
--            A repeated call answers what the first one took.
-- KEYS       leases about held holds due free (README.md)
-- ARGV       now          ms
--            seed         1 to 2^31 - 2, evenly drawn: all chance of this call
--            choices      nodes to compare for a job, at different ranks of the pair's free nodes; the least
--                         loaded in held/slots gets it, the first drawn on a tie
--            throws_max   stale entries of `free` that this call may throw out; each was paid for when it came in
--            (job|attempt pair due prefer avoid_count avoid*)*
--                         due      ms: when the hold ends by itself
--                         prefer   taken without comparing if it lives, serves the pair and has room; or ''
--                         avoid    nodes that get the job only when nobody else has room
-- Returns    for each     node generation      the slot is taken
--                         '' ''                nobody alive has room for the pair
--                         '' AGAIN             the throws ran out first; ask again at once
-- Called by  the dispatcher, at most one such call on its way

--- @include "_nodes"
--- @include "_holds"
--- @include "_choice"
--- @include "_select"

return select_batch(ARGV)
