-- Included by the scripts after _nodes: a hold is one slot of a node, taken for one attempt of a job.

local function take_slot(node, hold, due)
  call('ZADD', HELD, 0, node .. '|' .. hold)
  call('HSET', HOLDS, hold, node)
  call('ZADD', DUE, due, hold)
end

local function free_slot(node, hold)
  call('ZREM', HELD, node .. '|' .. hold)
  call('HDEL', HOLDS, hold)
  call('ZREM', DUE, hold)
end

-- The job|attempt that `node` holds, in order.
local function holds_of(node)
  local holds = {}
  for i, entry in ipairs(call('ZRANGEBYLEX', HELD, '[' .. node .. '|', '(' .. node .. '}')) do
    holds[i] = string.sub(entry, #node + 2)
  end
  return holds
end

-- Frees `hold` and returns its node, which can be drawn again when it was just full; '' when nobody holds it.
local function release(hold)
  local node = call('HGET', HOLDS, hold)
  if not node then return '' end
  local generation, _, slots, flags, served = about(node)
  -- A node above its slots (they were lowered) has no room yet.
  local gets_room = generation and flags == '' and load_of(node) == slots
  free_slot(node, hold)
  if gets_room then open(node, served) end
  return node
end
