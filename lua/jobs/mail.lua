-- Purpose    Acknowledge messages and read what is left.
-- KEYS       records waiting taken hungry due mail ended schedulers counts nodes enrolled flows turns listed hints (../README.md)
-- ARGV       scheduler   that calls
--            upto        the number of the last message that it has handled, 16 digits; nothing is lost if it is too low
--            limit       messages that are looked at
-- Returns    MORE or ALL: whether there may be others behind these; then number|kind|rest for each that is left
--                        come PAIR               jobs of it wait, and you were hungry
--                        end JOB|STATE|BY|OUTCOME   a job of your client has ended; BY ran it, or is ''
--                        read JOB                the same, and its outcome is long: it is in the record
--                        moved JOB|ATTEMPT       another scheduler answers for it now
--                        stop JOB|ATTEMPT        it was cancelled
--                        replaced NODE|NUMBER    this connection of the node is over: it has come to another scheduler
--                        probe NODE|NUMBER       another process wants the name: does this connection still answer?
--                        born                    you were no member: what you had was given to others, so look at mine
--                        look                    a scheduler has died: jobs of any pair may wait
-- Called by  the feed of the partition: at its start, after a break of the subscription, and to acknowledge

--- @include "_partition"
--- @include "_groups"

local scheduler, upto, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])

local found = members_of(MAIL, scheduler, limit)
local answers, handled = {#found == limit and 'MORE' or 'ALL'}, {}
for _, entry in ipairs(found) do
  local text = string.sub(entry, #scheduler + 2)
  if string.sub(text, 1, #upto) <= upto then
    handled[#handled + 1] = entry
  else
    answers[#answers + 1] = text
  end
end
if #handled > 0 then call('ZREM', MAIL, unpack(handled)) end
return answers
