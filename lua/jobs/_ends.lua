-- Included by the job scripts after _batch: what follows from the end of a job, beside its record.
local OUTCOME_MAX = 1000 -- bytes of an outcome that messages repeat

-- Job `id` of `bytes` ended at `since`. `told` is the scheduler that learns it from the answer of this call; the others of
-- `clients` get a message, with the outcome unless it is long: then they read the record.
local function tell_end(batch, id, since, bytes, clients, told, state, by, outcome)
  local ended = batch.ended
  if not ended then
    ended = {}
    batch.ended, batch.freed = ended, 0
  end
  ended[#ended + 1] = id .. '|' .. since
  batch.freed = batch.freed + bytes
  if clients == told then return end
  for one in string.gmatch(clients, '[^,]+') do
    if one ~= told then
      if #outcome > OUTCOME_MAX then
        tell(batch, one, 'read', id)
      else
        tell(batch, one, 'end', id .. '|' .. state .. '|' .. by .. '|' .. outcome)
      end
    end
  end
end
