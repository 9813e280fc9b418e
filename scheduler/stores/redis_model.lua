-- A model of the Redis commands that lua/ uses, and of the small world that a script sees there. Arguments and answers
-- are as in Redis: numbers become text, nothing found is false, a key without members is gone. No more than that:
-- a command, option or global that isn't here raises, so that no script grows past what was compared with a server.
local SortedSet, RoomyMap = ...

local data = {} -- key -> a hash (a RoomyMap), a SortedSet, or a list {first, last, texts}
local commands = {}
local commands_run = 0

local function text(value)
  if type(value) == 'string' then return value end
  if value == math.floor(value) and value > -1e15 and value < 1e15 then return string.format('%d', value) end
  return string.format('%.17g', value)
end

local function number(value)
  local converted = tonumber(value)
  if not converted then error('ERR value is not a valid float: ' .. tostring(value), 0) end
  return converted
end

-- ---- hashes

local function hash_at(key)
  local hash = data[key]
  if hash and not hash.items then error('WRONGTYPE ' .. key .. ' is no hash', 0) end
  return hash
end

function commands.HGET(key, field)
  local hash = hash_at(key)
  return hash and hash.items[field] or false
end

function commands.HMGET(key, ...)
  local hash, found = hash_at(key), {}
  for i, field in ipairs({...}) do found[i] = hash and hash.items[field] or false end
  return found
end

function commands.HSET(key, field, value, ...)
  local hash = hash_at(key)
  if not hash then
    hash = RoomyMap.new()
    data[key] = hash
  end
  local added = RoomyMap.set(hash, field, text(value)) and 1 or 0
  if select('#', ...) > 0 then
    local others = {...}
    for i = 1, #others, 2 do
      if RoomyMap.set(hash, others[i], text(others[i + 1])) then added = added + 1 end
    end
  end
  return added
end

function commands.HDEL(key, field, ...)
  local hash = hash_at(key)
  if not hash then return 0 end
  local removed = RoomyMap.remove(hash, field) and 1 or 0
  if select('#', ...) > 0 then
    for _, other in ipairs({...}) do
      if RoomyMap.remove(hash, other) then removed = removed + 1 end
    end
  end
  if hash.size == 0 then data[key] = nil end
  return removed
end

-- ---- lists: texts from place `first` to `last`

local function list_at(key)
  local list = data[key]
  if list and not list.texts then error('WRONGTYPE ' .. key .. ' is no list', 0) end
  return list
end

function commands.RPUSH(key, ...)
  local list = list_at(key)
  if not list then
    list = {first = 1, last = 0, texts = {}}
    data[key] = list
  end
  for _, value in ipairs({...}) do
    list.last = list.last + 1
    list.texts[list.last] = text(value)
  end
  return list.last - list.first + 1
end

function commands.LLEN(key)
  local list = list_at(key)
  return list and list.last - list.first + 1 or 0
end

-- LRANGE key first last, both from the head
function commands.LRANGE(key, first, last)
  if number(first) < 0 or number(last) < 0 then error('the model of Redis knows LRANGE by places from the head only', 0) end
  local list, found = list_at(key), {}
  if not list then return found end
  for place = list.first + number(first), math.min(list.last, list.first + number(last)) do
    found[#found + 1] = list.texts[place]
  end
  return found
end

-- LTRIM key first -1
function commands.LTRIM(key, first, last)
  if number(first) < 0 or number(last) ~= -1 then error('the model of Redis knows LTRIM to -1 only', 0) end
  local list = list_at(key)
  if not list then return 'OK' end
  for place = list.first, math.min(list.last, list.first + number(first) - 1) do list.texts[place] = nil end
  list.first = list.first + number(first)
  if list.first > list.last then data[key] = nil end
  return 'OK'
end

-- ---- hints: nobody listens to a model unless it was asked to keep them

local hints = nil

function commands.SPUBLISH(channel, message)
  if hints then hints[#hints + 1] = channel .. '\t' .. message end
  return 0
end

-- ---- sorted sets

local function set_at(key)
  local set = data[key]
  if set and not set.scores then error('WRONGTYPE ' .. key .. ' is no sorted set', 0) end
  return set
end

-- ZADD key [GT | NX] score member [score member ...]
function commands.ZADD(key, first, ...)
  local set = set_at(key)
  if not set then
    set = SortedSet.new()
    data[key] = set
  end
  if first == 'GT' then
    local score, member = ...
    if select('#', ...) ~= 2 then error('the model of Redis knows ZADD GT with one member only', 0) end
    score = number(score)
    local old = set.scores.items[member]
    if old and old >= score then return 0 end
    return SortedSet.put(set, score, member) and 1 or 0
  end
  if first == 'NX' then
    local score, member = ...
    if select('#', ...) ~= 2 then error('the model of Redis knows ZADD NX with one member only', 0) end
    if set.scores.items[member] then return 0 end
    return SortedSet.put(set, number(score), member) and 1 or 0
  end
  if select('#', ...) == 1 then return SortedSet.put(set, number(first), (...)) and 1 or 0 end
  local added, arguments = 0, {first, ...}
  for i = 1, #arguments, 2 do
    if SortedSet.put(set, number(arguments[i]), arguments[i + 1]) then added = added + 1 end
  end
  return added
end

function commands.ZREM(key, first, ...)
  local set = set_at(key)
  if not set then return 0 end
  local removed = SortedSet.remove(set, first) and 1 or 0
  if select('#', ...) > 0 then
    for _, member in ipairs({...}) do
      if SortedSet.remove(set, member) then removed = removed + 1 end
    end
  end
  if set.scores.size == 0 then data[key] = nil end
  return removed
end

function commands.ZSCORE(key, member)
  local set = set_at(key)
  if not set then return false end
  local as_text = set.text_of[member]
  if as_text then return as_text end
  local score = set.scores.items[member]
  if not score then return false end
  as_text = text(score)
  set.text_of[member] = as_text
  return as_text
end

function commands.ZLEXCOUNT(key, low, high)
  local set = set_at(key)
  return set and SortedSet.count_by_lex(set, low, high) or 0
end

-- ZRANGEBYLEX key low high [LIMIT 0 count]
function commands.ZRANGEBYLEX(key, low, high, option, offset, count)
  local set = set_at(key)
  if not option then return set and SortedSet.range_by_lex(set, low, high) or {} end
  if option ~= 'LIMIT' or number(offset) ~= 0 or number(count) < 0 then
    error('the model of Redis knows ZRANGEBYLEX with LIMIT 0 only', 0)
  end
  return set and SortedSet.first_by_lex(set, low, high, number(count)) or {}
end

-- ZRANGE key rank rank
function commands.ZRANGE(key, first, last)
  if first ~= last or number(first) < 0 then error('the model of Redis knows ZRANGE of one rank, from 0 on, only', 0) end
  local set = set_at(key)
  return {set and SortedSet.at_rank(set, number(first))}
end

-- ZRANGEBYSCORE key -inf highest LIMIT 0 count
function commands.ZRANGEBYSCORE(key, low, highest, option, offset, count)
  if low ~= '-inf' or option ~= 'LIMIT' or number(offset) ~= 0 then
    error('the model of Redis knows ZRANGEBYSCORE from -inf with LIMIT 0 only', 0)
  end
  local set = set_at(key)
  return set and SortedSet.range_to_score(set, number(highest), number(count)) or {}
end

-- ---- the world of a script

local function call(name, ...)
  local command = commands[name]
  if not command then error('the model of Redis lacks the command ' .. tostring(name), 0) end
  return command(...)
end

local function call_counted(name, ...)
  commands_run = commands_run + 1
  return call(name, ...)
end

local call_now = call
local redis = {call = function(...) return call_now(...) end}
local world = setmetatable({
  redis = redis, string = string, table = table, math = math,
  ipairs = ipairs, tonumber = tonumber, tostring = tostring, type = type, unpack = unpack, select = select,
}, {
  __index = function(_, name) error('a script may not use ' .. tostring(name), 0) end,
  __newindex = function(_, name) error('a script may not write the global ' .. tostring(name), 0) end,
})

local scripts = {}
local UNPACK_MAX = 4000 -- answers longer than this come as one text

local model = {}

-- The prelude has no state, so it runs once, here; a server runs it at every call.
function model.load(name, keys, prelude, body)
  local source = 'local KEYS = ... ' .. prelude .. ' return function(ARGV) ' .. body .. '\nend'
  scripts[name] = setfenv(assert(loadstring(source, '=' .. name)), world)(keys)
end

-- Runs a script and returns the length of its answer and its items; -1 and all in one text when they are many.
function model.run(name, ...)
  local script = scripts[name]
  if not script then error('there is no script ' .. name, 0) end
  local answer = script({...})
  local count = #answer
  for i = 1, count do
    if type(answer[i]) ~= 'string' then error(name .. ' answered something that is no text', 0) end
  end
  if count > UNPACK_MAX then return -1, table.concat(answer, '\n') end
  return count, unpack(answer)
end

function model.clear()
  data = {}
end

-- How many members each of `keys` has.
function model.sizes(keys)
  local sizes = {}
  for i, key in ipairs(keys) do
    local found = data[key]
    sizes[i] = found and (found.texts and found.last - found.first + 1 or (found.scores or found).size) or 0
  end
  return unpack(sizes)
end

-- All members of `key` as lines: member, tab, value, score or place. Those of a list are in its order, others in none.
function model.dump(key)
  local found, lines = data[key], {}
  if not found then return nil end
  if found.texts then
    for place = found.first, found.last do
      lines[#lines + 1] = found.texts[place] .. '\t' .. text(place - found.first)
    end
    return table.concat(lines, '\n')
  end
  for member, value in pairs((found.scores or found).items) do lines[#lines + 1] = member .. '\t' .. text(value) end
  return table.concat(lines, '\n')
end

-- Begins to keep what scripts publish; or stops, the default.
function model.keep_hints(on)
  hints = on and {} or nil
end

-- What scripts have published since the last call, with the character 30 between: channel, tab, message. nil: nothing.
function model.take_hints()
  if not hints or #hints == 0 then return nil end
  local lines = table.concat(hints, '\30')
  hints = {}
  return lines
end

function model.count_commands(on)
  commands_run = 0
  call_now = on and call_counted or call
end

function model.commands_run()
  return commands_run
end

return model
