-- Purpose    Read records.
-- KEYS       records waiting taken hungry due mail ended schedulers counts nodes enrolled flows turns listed hints (../README.md)
-- ARGV       job*
-- Returns    for each   its record, or '' when it is not known
-- Called by  the feed of the partition: somebody asks for a job that is not here

--- @include "_partition"

local answers = {}
for i, text in ipairs(call('HMGET', RECORDS, unpack(ARGV))) do answers[i] = text or '' end
return answers
