-- Included by the job scripts after _turns: jobs that wait, and whom they invite. close_queue is the close of a script in which
-- jobs may begin or stop to wait.
local ALL = 1000 -- schedulers of a partition that are looked at

-- When the job is due that would be so at `until_ms`, or when its client no longer wants it.
local function due_at(j, until_ms)
  if j.expires == '0' then return until_ms end
  return math.min(tonumber(j.expires), tonumber(until_ms))
end

-- `more` hungry schedulers of the pair will be invited: first those that a job of the batch prefers.
local function will_invite(batch, pair, more, preferred)
  batch.waits = batch.waits or {}
  local wish = batch.waits[pair]
  if not wish then
    wish = {pair = pair, most = 0, preferred = {}}
    batch.waits[pair] = wish
    batch.waits[#batch.waits + 1] = wish
  end
  wish.most = wish.most + more
  wish.preferred[preferred] = true
end

-- Invites living schedulers that are hungry for the pair of `wish`: first those that are preferred, then the one that has been
-- hungry longest. One whose lease seems to have ended is invited, too, but does not count: the clock of the caller may be ahead.
local function invite(batch, wish)
  local pair, first, others = wish.pair, {}, {}
  for _, entry in ipairs(members_of(HUNGRY, pair, ALL)) do
    local scheduler = string.sub(entry, #pair + 19)
    local list = wish.preferred[scheduler] and first or others
    list[#list + 1] = {entry, scheduler}
  end
  for _, list in ipairs({first, others}) do
    for _, one in ipairs(list) do
      if wish.most <= 0 then return end
      local scheduler = one[2]
      call('ZREM', HUNGRY, one[1], scheduler .. '|' .. pair)
      tell(batch, scheduler, 'come', pair)
      if (lease_of(batch, scheduler) or 0) > batch.now then wish.most = wish.most - 1 end
    end
  end
end

-- The job begins to wait at its place, until `until_ms` (a text) at the latest; a hungry scheduler will be invited.
local function wait(batch, id, j, until_ms)
  local line = j.turn == '' and j.pair or turns_of(batch).begin_turn(j)
  enter(batch, WAITING, line .. '|' .. j.place .. '|' .. id)
  enter(batch, DUE, id, due_at(j, until_ms))
  will_invite(batch, j.pair, 1, j.prefer)
end

-- Writes all that the batch has collected.
local function close_queue(batch)
  write_members(batch, HUNGRY) -- the caller must not be invited for what it has just declined
  for _, wish in ipairs(batch.waits or {}) do invite(batch, wish) end
  write_members(batch, WAITING)
  if batch.fair then batch.fair.write_turns() end
  close(batch)
end
