-- Included by the scripts after _nodes: a reservation is one slot of a node, taken for one attempt of a job.

local function take_slot(node, reservation, due)
  call('ZADD', HELD, 0, node .. '|' .. reservation)
  call('HSET', RESERVATIONS, reservation, node)
  call('ZADD', DUE, due, reservation)
end

local function free_slot(node, reservation)
  call('ZREM', HELD, node .. '|' .. reservation)
  call('HDEL', RESERVATIONS, reservation)
  call('ZREM', DUE, reservation)
end

-- The reservations (job|attempt) of `node`, in order.
local function reservations_of(node)
  local reservations = {}
  for i, entry in ipairs(call('ZRANGEBYLEX', HELD, '[' .. node .. '|', '(' .. node .. '}')) do
    reservations[i] = string.sub(entry, #node + 2)
  end
  return reservations
end

-- Frees `reservation` and returns its node, or '' when there is no such reservation. A node that was full can be drawn again.
local function release(reservation)
  local node = call('HGET', RESERVATIONS, reservation)
  if not node then return '' end
  local generation, _, slots, flags, served = node_record(node)
  -- A node above its slots (they were lowered) has no room yet.
  local gets_room = generation and flags == '' and load_of(node) == slots
  free_slot(node, reservation)
  if gets_room then open(node, served) end
  return node
end
