-- Included by the job scripts after _batch: who takes jobs or nodes must be a member, else nobody adopts them. One that was
-- removed comes back with a lease that has ended.
local function be_member(batch)
  if call('ZADD', SCHEDULERS, 'NX', 0, batch.by) == 1 then
    batch.leases[batch.by] = 0
    tell(batch, batch.by, 'born', '')
  end
end
