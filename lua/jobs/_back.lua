-- Included by the job scripts after _waiting: jobs that leave the state that they have, and come back to wait.

-- Whether the job may be tried again.
local function has_attempts(j) return tonumber(j.lost) < tonumber(j.attempts_max) end

-- Removes the job from where its present state has put it.
local function take_out(batch, id, j)
  if j.state == RUNS then return leave(batch, TAKEN, j.by .. '|' .. id) end
  if j.state == WAITS then
    local line = j.turn == '' and j.pair or turns_of(batch).end_turn(j)
    leave(batch, WAITING, line .. '|' .. j.place .. '|' .. id)
  end
  leave(batch, DUE, id)
end

-- The job waits again at its place, until `until_ms` (a text) at the latest.
local function wait_again(batch, id, j, until_ms)
  j.state, j.by, j.until_ms = WAITS, '', until_ms
  put(batch, id, text_of(j))
  wait(batch, id, j, until_ms)
end
