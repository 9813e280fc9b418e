-- Purpose    List all that the store thinks the caller has taken.
-- KEYS       records waiting taken hungry due mail ended schedulers counts nodes enrolled flows turns listed hints (../README.md)
-- ARGV       scheduler   that calls
--            limit       jobs at most; more than a scheduler has slots
-- Returns    (job record)*
-- Called by  the feed of the partition, as the very last call after an answer was lost or its lease had ended: what it does
--            not know it gives back, what is missing here it gives up

--- @include "_partition"
--- @include "_groups"

local scheduler, limit = ARGV[1], tonumber(ARGV[2])

local answers = {}
for _, entry in ipairs(members_of(TAKEN, scheduler, limit)) do
  local id = string.sub(entry, #scheduler + 2)
  local text = call('HGET', RECORDS, id)
  if text then
    answers[#answers + 1] = id
    answers[#answers + 1] = text
  end
end
return answers
