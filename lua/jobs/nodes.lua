-- Purpose    Give a scheduler the names of nodes, or take them back: a name is at one scheduler only.
-- KEYS       records waiting taken hungry due mail ended schedulers counts nodes enrolled flows turns listed hints (../README.md)
-- ARGV       scheduler   that calls
--            now         ms
--            (node number process again)*   nodes differ from each other
--                        number    of the connection, counted by the caller
--                        process   that has connected as the node, without |; '' = this connection has ended, and those before
--                        again     1: the caller has had the name before, and does not take it from another scheduler; else 0
-- Returns    for each   OK ''             the name is the caller's, or has been given back
--                       TAKEN scheduler   a living scheduler has it for another process, or (again) since a later time
--            The same process takes its name over from an older connection at another scheduler, which gets mail (replaced).
--            When another process has it, its scheduler gets mail (probe).
-- Called by  the feed of the partition that is the home of the name, when a node registers or leaves

--- @include "_partition"
--- @include "_batch"
--- @include "_member"

local scheduler, now = ARGV[1], tonumber(ARGV[2])
local FIRST, WIDTH = 3, 4

local batch = open_batch(scheduler, now)
be_member(batch)
local names = {}
for at = FIRST, #ARGV, WIDTH do names[#names + 1] = ARGV[at] end
local entries = call('HMGET', NODES, unpack(names))
local set, gone, answers = {}, {}, {}
for i, node in ipairs(names) do
  local at = FIRST + (i - 1) * WIDTH
  local number, process, again = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local holder, its_number, its_process = string.match(entries[i] or '', '^([^|]*)|([^|]*)|(.*)$')
  local word, rest = 'OK', ''
  if process == '' then
    if holder == scheduler and tonumber(its_number) <= tonumber(number) then
      gone[#gone + 1] = node
      leave(batch, ENROLLED, scheduler .. '|' .. node)
    end
  else
    local is_elsewhere = holder and holder ~= scheduler and lease_of(batch, holder)
    if is_elsewhere and (again == '1' or its_process ~= process) then
      word, rest = 'TAKEN', holder
      if its_process ~= process then tell(batch, holder, 'probe', node .. '|' .. its_number) end
    else
      if holder and holder ~= scheduler then
        leave(batch, ENROLLED, holder .. '|' .. node)
        tell(batch, holder, 'replaced', node .. '|' .. its_number)
      end
      set[#set + 1] = node
      set[#set + 1] = scheduler .. '|' .. number .. '|' .. process
      enter(batch, ENROLLED, scheduler .. '|' .. node)
    end
  end
  answers[#answers + 1] = word
  answers[#answers + 1] = rest
end
if #set > 0 then call('HSET', NODES, unpack(set)) end
if #gone > 0 then call('HDEL', NODES, unpack(gone)) end
close(batch)
return answers
