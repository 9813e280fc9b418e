-- Purpose    Take the next waiting jobs of pairs, for slots that the caller has reserved; say for which it stays hungry.
-- KEYS       records waiting taken hungry due mail ended schedulers counts nodes enrolled flows turns listed hints (../README.md)
-- ARGV       scheduler   that calls
--            now         ms
--            floor       the highest attempt that the caller has seen; 0 = none
--            order       fair, or submit: the oldest first
--            (pair want hungry)*   pairs differ from each other
--                        want     jobs at most; 0: the caller only declines an invitation
--                        hungry   1: invite the caller for jobs to come if it gets fewer than it wants; else 0
-- Returns    (job record)*
--            An invitation is never lost: when jobs of a pair are left, the next hungry scheduler is invited.
-- Called by  the feed of the partition, as the last call of a flush; at most one is on its way

--- @include "_partition"
--- @include "_groups"
--- @include "_batch"
--- @include "_member"
--- @include "_turns"
--- @include "_waiting"

local scheduler, now, floor, order = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local FIRST, WIDTH = 5, 3

-- The entries and names of the next `want` waiting jobs of `pair` in the order of the submits, and whether others wait behind.
local function next_submits(pair, want)
  local entries, ids = members_of(WAITING, pair, want + 1), {}
  local is_more = #entries > want
  if is_more then entries[want + 1] = nil end
  for i, entry in ipairs(entries) do ids[i] = string.sub(entry, #pair + 19) end
  return entries, ids, is_more
end

local batch = open_batch(scheduler, now)
local next_jobs = order == 'fair' and turns_of(batch).next_turns or next_submits
local entries, ids, left = {}, {}, {}
for at = FIRST, #ARGV, WIDTH do
  local pair, want = ARGV[at], tonumber(ARGV[at + 1])
  local its_entries, its_ids
  its_entries, its_ids, left[pair] = next_jobs(pair, want)
  for i, id in ipairs(its_ids) do
    ids[#ids + 1], entries[#entries + 1] = id, its_entries[i]
  end
  left[at] = #its_ids
end
read_texts(batch, ids)
be_member(batch)

if #ids > 0 then batch.remove[WAITING], batch.remove[DUE] = entries, ids end
for _, id in ipairs(ids) do
  local text = batch.texts[id] or ''
  local state, attempt, rest = string.match(text, '^(%l)|[^|]*|(%d+)()')
  if state == WAITS then -- else a part of the data was lost
    attempt = string.format('%d', math.max(attempt, floor) + 1)
    enter(batch, TAKEN, scheduler .. '|' .. id)
    put(batch, id, RUNS .. '|' .. scheduler .. '|' .. attempt .. string.sub(text, rest))
  end
end

for at = FIRST, #ARGV, WIDTH do
  local pair, want, got = ARGV[at], tonumber(ARGV[at + 1]), left[at]
  local mine = scheduler .. '|' .. pair
  local was_hungry = call('ZSCORE', HUNGRY, mine)
  local is_hungry = ARGV[at + 2] == '1' and got < want
  if is_hungry and not was_hungry then
    enter(batch, HUNGRY, string.format('%s|%016d|%s', pair, count(batch, 'mail', 1), scheduler))
    enter(batch, HUNGRY, mine)
  elseif was_hungry and not is_hungry then
    leave(batch, HUNGRY, mine)
    for _, entry in ipairs(members_of(HUNGRY, pair, ALL)) do
      if string.sub(entry, #pair + 19) == scheduler then leave(batch, HUNGRY, entry) end
    end
  end
  if left[pair] then will_invite(batch, pair, 1, '') end
end
close_queue(batch)
return batch.records
