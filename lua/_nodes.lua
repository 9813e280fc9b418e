-- Included by the scripts: the six keys by name, and the record of a node (README.md is the data model).
local LEASES, NODE_RECORDS, HELD, RESERVATIONS, DUE, CAPACITY = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local call = redis.call

-- generation, process, slots (a number), flags and served pairs (,zh:en,en:zh,) of `node`; nil when it isn't known.
local function node_record(node)
  local record = call('HGET', NODE_RECORDS, node)
  if not record then return nil end
  local generation, process, slots, flags, served =
    string.match(record, '^([^|]*)|([^|]*)|([^|]*)|([^|]*)|(.*)$')
  return generation, process, tonumber(slots), flags, served
end

local function write_node_record(node, generation, process, slots, flags, served)
  call('HSET', NODE_RECORDS, node, generation .. '|' .. process .. '|' .. slots .. '|' .. flags .. '|' .. served)
end

-- When the lease of `node` ends, ms; 0 when it has none.
local function lease_end(node)
  return tonumber(call('ZSCORE', LEASES, node) or 0)
end

-- The number of reservations of `node`. '}' is the character after '|', so the range is all that begins with node|.
local function load_of(node)
  return call('ZLEXCOUNT', HELD, '[' .. node .. '|', '(' .. node .. '}')
end

-- Enters `node` in the capacity index for each pair of `served`.
local function open(node, served)
  local entries = {}
  for pair in string.gmatch(served, '[^,]+') do
    entries[#entries + 1] = 0
    entries[#entries + 1] = pair .. '|' .. node
  end
  if #entries > 0 then call('ZADD', CAPACITY, unpack(entries)) end
end

-- Removes `node` from the capacity index for each pair of `served`.
local function shut(node, served)
  local entries = {}
  for pair in string.gmatch(served, '[^,]+') do entries[#entries + 1] = pair .. '|' .. node end
  if #entries > 0 then call('ZREM', CAPACITY, unpack(entries)) end
end
