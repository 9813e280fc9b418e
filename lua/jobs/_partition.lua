-- Included by all job scripts: the keys of a partition by name, and the states of a job (../README.md is the data model).
-- A call makes each function that its script includes anew, for about 0.2 us on the server, and a table for 0.1 to 0.7 us. So a
-- script includes the parts that it needs only, and those that are called for every job leave records the texts that they are.
local RECORDS, WAITING, TAKEN, HUNGRY, DUE = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local MAIL, ENDED, SCHEDULERS, COUNTS, NODES = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local ENROLLED, FLOWS, TURNS, LISTED, HINTS = KEYS[11], KEYS[12], KEYS[13], KEYS[14], KEYS[15]
local call = redis.call

-- State of a job: the first letter of its record.
local WAITS, RESTS, RUNS, FAILED = 'w', 'b', 't', 'f'
local FINAL = {c = true, f = true, x = true, g = true}
