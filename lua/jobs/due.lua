-- Purpose    Do what is due: a job that has waited too long has failed, one whose pause is over waits.
-- KEYS       records waiting taken hungry due mail ended schedulers counts nodes enrolled flows turns listed hints (../README.md)
-- ARGV       now        ms
--            waiting    ms that a job may wait
--            limit      jobs of this call, the earliest first, 1 to 500
-- Returns    count      of them; with `limit`, call again at once
--            The outcome of a job that has failed is expired (its client no longer wants it) or waiting_timeout; the
--            scheduler of its client gets mail (end), also when it is the caller. A job that somebody has taken is never due:
--            its scheduler answers for it, and `beat` for that.
-- Called by  the members role of every scheduler, each second

--- @include "_partition"
--- @include "_groups"
--- @include "_batch"
--- @include "_keys"
--- @include "_ends"
--- @include "_whole"
--- @include "_turns"
--- @include "_waiting"
--- @include "_back"

local now, waiting, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local ids = call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, limit)
local batch = open_batch('', now)
read_texts(batch, ids)
for _, id in ipairs(ids) do
  local j = job_of(batch, id)
  if not j or j.state == RUNS or FINAL[j.state] then
    leave(batch, DUE, id) -- a part of the data was lost
  elseif j.expires ~= '0' and tonumber(j.expires) <= now then
    take_out(batch, id, j)
    finish(batch, id, j, FAILED, 'expired', '')
  elseif j.state == RESTS then
    wait_again(batch, id, j, string.format('%d', now + waiting))
  else
    take_out(batch, id, j)
    finish(batch, id, j, FAILED, 'waiting_timeout', '')
  end
end
close_queue(batch)
return {tostring(#ids)}
