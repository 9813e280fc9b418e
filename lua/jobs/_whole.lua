-- Included by the job scripts after _ends: a job as a table of all its fields, for what does not happen to every job.
local FIELDS = 17 -- those before the outcome, which is the rest and may have any character

-- The job `id`; nil when it is not known. All fields are texts, as they are stored.
local function job_of(batch, id)
  local text = batch.texts[id]
  if not text then return nil end
  local j = {}
  j.state, j.by, j.attempt, j.client, j.lost, j.bytes, j.until_ms, j.prefer, j.since, j.pair, j.place, j.first, j.expires,
    j.attempts_max, j.content, j.turn, j.meta, j.outcome =
    string.match(text, '^' .. string.rep('([^|]*)|', FIELDS) .. '(.*)$')
  return j
end

local function text_of(j)
  return table.concat({
    j.state, j.by, j.attempt, j.client, j.lost, j.bytes, j.until_ms, j.prefer, j.since, j.pair, j.place, j.first, j.expires,
    j.attempts_max, j.content, j.turn, j.meta, j.outcome,
  }, '|')
end

-- The members, but the caller, whose clients wait for the job.
local function other_clients(batch, j)
  local clients = {}
  for one in string.gmatch(j.client, '[^,]+') do
    if one ~= batch.by and lease_of(batch, one) then clients[#clients + 1] = one end
  end
  return clients
end

-- The job has ended; `told` as for tell_end.
local function finish(batch, id, j, state, outcome, told)
  j.state, j.outcome, j.since, j.until_ms, j.prefer = state, outcome, string.format('%d', batch.now), '', ''
  put(batch, id, text_of(j))
  if j.turn ~= '' then keys_of(batch).add(j.turn, -1, j.bytes) end
  tell_end(batch, id, j.since, j.bytes, j.client, told, state, j.by, outcome)
end
