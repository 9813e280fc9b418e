-- Included by all job scripts: the keys of a partition by name, and the record of a job (../README.md is the data model).
local RECORDS, WAITING, TAKEN, HUNGRY, DUE = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local MAIL, ENDED, SCHEDULERS, COUNTS, NODES = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local ENROLLED, FLOWS, TURNS, HINTS = KEYS[11], KEYS[12], KEYS[13], KEYS[14]
local call = redis.call

-- State of a job: one letter of its record.
local WAITS, RESTS, RUNS, FAILED = 'w', 'b', 't', 'f'
local FINAL = {c = true, f = true, x = true, g = true}

local FIELDS = 17 -- those before the outcome, which is the rest and may have any character
local PATTERN = '^' .. string.rep('([^|]*)|', FIELDS) .. '(.*)$'

-- Attempt and lost are numbers; the other numbers stay the texts that they are.
local function parse(text)
  local state, pair, place, client, by, attempt, first, lost, attempts_max, expires, until_ms, bytes, content, since,
    prefer, turn, meta, outcome = string.match(text, PATTERN)
  return {
    state = state, pair = pair, place = place, client = client, by = by, attempt = tonumber(attempt), first = first,
    lost = tonumber(lost), attempts_max = attempts_max, expires = expires, until_ms = until_ms, bytes = bytes,
    content = content, since = since, prefer = prefer, turn = turn, meta = meta, outcome = outcome,
  }
end

local function text_of(j)
  return j.state .. '|' .. j.pair .. '|' .. j.place .. '|' .. j.client .. '|' .. j.by .. '|' .. j.attempt .. '|' .. j.first
    .. '|' .. j.lost .. '|' .. j.attempts_max .. '|' .. j.expires .. '|' .. j.until_ms .. '|' .. j.bytes .. '|' .. j.content
    .. '|' .. j.since .. '|' .. j.prefer .. '|' .. j.turn .. '|' .. j.meta .. '|' .. j.outcome
end

-- Whether the job may be tried again.
local function has_attempts(j) return j.lost < tonumber(j.attempts_max) end

-- When the job is due that would be so at `until_ms`, or when its client no longer wants it.
local function due_at(j, until_ms)
  local expires = tonumber(j.expires)
  return expires > 0 and math.min(expires, until_ms) or until_ms
end

-- A number with 16 digits, so that the order by name is that of the numbers.
local function ordered(number) return string.format('%016d', number) end

-- The members of `key` that begin with `name`|, at most `limit` of them. '}' is the character after '|'.
local function members_of(key, name, limit)
  return call('ZRANGEBYLEX', key, '[' .. name .. '|', '(' .. name .. '}', 'LIMIT', 0, limit)
end

-- The scheduler, the number of the connection and the process in the entry of a node; nil without one.
local function holder_of(entry)
  if entry then return string.match(entry, '^([^|]*)|([^|]*)|(.*)$') end
end

-- Appends to `answers` what a scheduler needs in order to run job `id`.
local function give(answers, id, j)
  local row = {
    id, tostring(j.attempt), j.pair, j.client, j.bytes, j.expires, tostring(j.lost), j.attempts_max, j.meta,
  }
  for _, value in ipairs(row) do answers[#answers + 1] = value end
end
