-- Purpose    Take the next waiting jobs of pairs, for slots that the caller has reserved; say for which it stays hungry.
-- KEYS       records waiting taken hungry due mail ended schedulers counts nodes enrolled flows turns hints (../README.md)
-- ARGV       scheduler   that calls
--            now         ms
--            floor       the highest attempt that the caller has seen; 0 = none
--            order       fair, or submit: the oldest first
--            (pair want hungry)*   pairs differ from each other
--                        want     jobs at most; 0: the caller only declines an invitation
--                        hungry   1: invite the caller for jobs to come if it gets fewer than it wants; else 0
-- Returns    (job attempt pair client bytes expires lost attempts_max meta)*
--            An invitation is never lost: when jobs of a pair are left, the next hungry scheduler is invited.
-- Called by  the feed of the partition, as the last call of a flush; at most one is on its way

--- @include "_partition"
--- @include "_turns"
--- @include "_batch"

local scheduler, now, floor, order = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local FIRST, WIDTH = 5, 3

local batch = open_batch(scheduler, now, {})
local entries, ids, left = {}, {}, {}
for at = FIRST, #ARGV, WIDTH do
  local pair, want = ARGV[at], tonumber(ARGV[at + 1])
  local found
  found, left[pair] = NEXT[order](batch, pair, want)
  for _, one in ipairs(found) do
    entries[#entries + 1], ids[#ids + 1] = one[1], one[2]
  end
  left[at] = #found
end
read_records(batch, ids)
be_member(batch)

local answers = {}
for i, id in ipairs(ids) do
  local j = batch.jobs[id]
  leave(batch, WAITING, entries[i])
  leave(batch, DUE, id)
  if j and j.state == WAITS then -- else a part of the data was lost
    take(batch, id, j, floor)
    give(answers, id, j)
  end
end

for at = FIRST, #ARGV, WIDTH do
  local pair, want, got = ARGV[at], tonumber(ARGV[at + 1]), left[at]
  local mine = scheduler .. '|' .. pair
  local was_hungry = call('ZSCORE', HUNGRY, mine)
  local is_hungry = ARGV[at + 2] == '1' and got < want
  if is_hungry and not was_hungry then
    enter(batch, HUNGRY, pair .. '|' .. ordered(count(batch, 'place', 1)) .. '|' .. scheduler)
    enter(batch, HUNGRY, mine)
  elseif was_hungry and not is_hungry then
    leave(batch, HUNGRY, mine)
    for _, entry in ipairs(members_of(HUNGRY, pair, ALL)) do
      if string.sub(entry, #pair + 19) == scheduler then leave(batch, HUNGRY, entry) end
    end
  end
  if left[pair] then
    batch.waits[pair] = 1
    batch.pairs[#batch.pairs + 1] = pair
  end
end
return close(batch, answers)
