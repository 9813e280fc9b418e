-- Included by the job scripts before _batch: whose waiting job is next when the order is fair. It is start-time fair queueing,
-- as in scheduler/core/jobs/fair_band.py. The turn of a job is priority.cost.key; '' stands for the order of the submits, in
-- which nothing of this is used.
-- A lane is pair|priority, a flow lane|key: the waiting jobs of a key. The flow with the least start tag is next; its tag grows
-- by the cost of each job that is taken, and the virtual time of the lane is the greatest tag taken. Jobs that came back
-- have had their turn: they are the flow of the key '', which comes first and is charged nothing.
local AHEAD_MAX = 100 -- flows without a job that a lane remembers while they are ahead; the one that is least so goes first
local FORGET = 16 -- of them that a call may forget, beside one for each flow that it touches
local LANE_MAX = 1000
local COST = 1000000 -- of a job of a key with weight 1
local BEGIN = 1 -- the virtual time of a lane in which nobody waits; 0 is the tag of the jobs that came back

local function turn_of(j) return string.match(j.turn, '^(%d)%.(%d+)%.(.*)$') end

local function flow_name(j)
  local priority, _, key = turn_of(j)
  return j.pair .. '|' .. priority, j.attempt > tonumber(j.first) and '' or key
end

-- The entry of a waiting job in `waiting`: in the order of the submits within its pair, or within its flow.
local function waiting_entry(id, j)
  local line = j.pair
  if j.turn ~= '' then
    local lane, key = flow_name(j)
    line = lane .. '|' .. key
  end
  return line .. '|' .. ordered(j.place) .. '|' .. id
end

-- Reads the fields of `turns` that the call has not read yet.
local function read_turns(batch, fields)
  local unknown = {}
  for _, field in ipairs(fields) do
    if batch.turns[field] == nil then
      batch.turns[field] = false
      unknown[#unknown + 1] = field
    end
  end
  if #unknown == 0 then return end
  for i, text in ipairs(call('HMGET', TURNS, unpack(unknown))) do batch.turns[unknown[i]] = text end
end

local function virtual_time(batch, lane) return tonumber(batch.times[lane] or batch.turns[lane] or BEGIN) end

local function flow_member(flow)
  local group = flow.waits and flow.lane or '~' .. flow.lane
  return group .. '|' .. ordered(flow.start) .. '|' .. ordered(flow.tie) .. '|' .. flow.key
end

-- A flow, with the state that it has at the end of the call so far.
local function flow_of(batch, lane, key)
  local name = lane .. '|' .. key
  local flow = batch.flows[name]
  if flow then return flow end
  read_turns(batch, {lane, name})
  flow = {name = name, lane = lane, key = key, waits = false, start = 0, tie = 0, cost = 0}
  local state, start, tie, cost = string.match(batch.turns[name] or '', '^(%a)(%d+)|(%d+)|(%d+)$')
  if state then
    flow.waits, flow.start, flow.tie, flow.cost = state == 'w', tonumber(start), tonumber(tie), tonumber(cost)
    flow.member = flow_member(flow)
  end
  batch.flows[name] = flow
  batch.touched[#batch.touched + 1] = flow
  return flow
end

-- The job begins to wait. A key without a waiting job starts at the virtual time, or where it is ahead of it.
local function begin_turn(batch, j)
  if j.turn == '' then return end
  local lane, key = flow_name(j)
  local flow = flow_of(batch, lane, key)
  if key ~= '' then
    local _, cost = turn_of(j)
    flow.cost = tonumber(cost) -- the weight of the key may be new
  end
  if not flow.waits then
    flow.waits, flow.tie = true, tonumber(j.place)
    if key ~= '' then flow.start = math.max(flow.start, virtual_time(batch, lane)) end
  end
end

-- The job stops to wait without a turn: nothing was charged for it.
local function end_turn(batch, j)
  if j.turn == '' then return end
  local lane, key = flow_name(j)
  flow_of(batch, lane, key).is_shorter = true
end

-- The key pays for one more job: one of it failed by itself, and comes back before all others.
local function charge(batch, j)
  if j.turn == '' then return end
  local lane = flow_name(j)
  local _, cost, key = turn_of(j)
  local flow = flow_of(batch, lane, key)
  flow.cost = tonumber(cost)
  flow.start = math.max(flow.start, virtual_time(batch, lane)) + flow.cost
end

local function is_before(one, other)
  if one.lane ~= other.lane then return one.lane < other.lane end
  if one.start ~= other.start then return one.start < other.start end
  if one.tie ~= other.tie then return one.tie < other.tie end
  return one.key < other.key
end

-- The next job of a flow, and the one behind it; the flow is read as far as needed.
local function two_of(flow, want)
  flow.used = (flow.used or 0) + 1
  local jobs = flow.jobs or members_of(WAITING, flow.name, 2)
  if flow.used == #jobs and #jobs == 2 and want > 1 then jobs = members_of(WAITING, flow.name, want + 1) end
  flow.jobs = jobs
  return jobs[flow.used], jobs[flow.used + 1]
end

-- The entries of the next `want` waiting jobs of `pair`, and whether others wait behind them.
local function next_turns(batch, pair, want)
  local line, names = {}, {}
  for i, member in ipairs(members_of(FLOWS, pair, want + 1)) do
    local priority, key = string.match(member, '^[^|]*|(%d)|%d+|%d+|(.*)$')
    line[i] = {pair .. '|' .. priority, key}
    names[#names + 1] = line[i][1]
    names[#names + 1] = line[i][1] .. '|' .. key
  end
  read_turns(batch, names)
  for i, named in ipairs(line) do line[i] = flow_of(batch, named[1], named[2]) end

  local entries = {}
  while #entries < want and #line > 0 do
    local flow = table.remove(line, 1)
    local entry, after = two_of(flow, want)
    if entry then -- else a part of the data was lost
      entries[#entries + 1] = {entry, string.sub(entry, #flow.name + 19)}
      if flow.key ~= '' then
        batch.times[flow.lane] = math.max(virtual_time(batch, flow.lane), flow.start)
        flow.start = flow.start + flow.cost
      end
    end
    flow.waits = after ~= nil
    if after then
      flow.tie = tonumber(string.sub(after, #flow.name + 2, #flow.name + 17))
      local at = 1
      while line[at] and is_before(line[at], flow) do at = at + 1 end
      table.insert(line, at, flow)
    end
  end
  return entries, #line > 0
end

-- The same in the order of the submits.
local function next_submits(_, pair, want)
  local found, entries = members_of(WAITING, pair, want + 1), {}
  for i = 1, math.min(want, #found) do entries[i] = {found[i], string.sub(found[i], #pair + 19)} end
  return entries, #found > want
end

local NEXT = {fair = next_turns, submit = next_submits}

-- Flows of `lane` without a waiting job that are not remembered any longer; all of them when nobody waits in it.
local function forgotten(batch, lane)
  local idle = '~' .. lane
  if #members_of(FLOWS, lane, 1) == 0 then
    batch.times[lane] = ''
    return members_of(FLOWS, idle, LANE_MAX)
  end
  local gone, now = {}, virtual_time(batch, lane)
  local too_many = call('ZLEXCOUNT', FLOWS, '[' .. idle .. '|', '(' .. idle .. '}') - AHEAD_MAX
  for i, member in ipairs(members_of(FLOWS, idle, FORGET + #batch.touched)) do
    if i > too_many and tonumber(string.sub(member, #idle + 2, #idle + 17)) > now then break end
    gone[i] = member
  end
  return gone
end

-- Writes the flows that the call has touched; `waiting` has been written.
local function write_turns(batch)
  if #batch.touched == 0 then return end
  local remove, add, set, delete, lanes, is_listed = {}, {}, {}, {}, {}, {}
  local function write(field, text)
    if text == (batch.turns[field] or '') then return end
    if text == '' then
      delete[#delete + 1] = field
    else
      set[#set + 1] = field
      set[#set + 1] = text
    end
  end
  for _, flow in ipairs(batch.touched) do
    if flow.is_shorter then flow.waits = #members_of(WAITING, flow.name, 1) > 0 end
    local is_kept = flow.waits or flow.key ~= '' and flow.start > virtual_time(batch, flow.lane)
    local member = is_kept and flow_member(flow) or nil
    if member ~= flow.member then
      remove[#remove + 1] = flow.member
      if member then
        add[#add + 1] = 0
        add[#add + 1] = member
      end
    end
    flow.text = ''
    if member then
      local state = flow.waits and 'w' or 'i'
      flow.text = state .. ordered(flow.start) .. '|' .. ordered(flow.tie) .. '|' .. string.format('%d', flow.cost)
    end
    if not is_listed[flow.lane] then
      is_listed[flow.lane] = true
      lanes[#lanes + 1] = flow.lane
    end
  end
  if #remove > 0 then call('ZREM', FLOWS, unpack(remove)) end
  if #add > 0 then call('ZADD', FLOWS, unpack(add)) end

  local gone = {}
  for _, lane in ipairs(lanes) do
    for _, member in ipairs(forgotten(batch, lane)) do
      gone[#gone + 1] = member
      local name = lane .. '|' .. string.sub(member, #lane + 37)
      if batch.flows[name] then
        batch.flows[name].text = ''
      else
        delete[#delete + 1] = name
      end
    end
    if batch.times[lane] then write(lane, batch.times[lane] == '' and '' or string.format('%d', batch.times[lane])) end
  end
  for _, flow in ipairs(batch.touched) do write(flow.name, flow.text) end
  if #gone > 0 then call('ZREM', FLOWS, unpack(gone)) end
  if #set > 0 then call('HSET', TURNS, unpack(set)) end
  if #delete > 0 then call('HDEL', TURNS, unpack(delete)) end
end
