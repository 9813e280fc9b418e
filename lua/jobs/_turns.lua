-- Included by the job scripts before _waiting: whose waiting job is next when the order is fair. It is start-time fair queueing,
-- as in scheduler/core/jobs/fair_band.py. The turn of a job is priority.cost.key; '' stands for the order of the submits, in
-- which nothing of this is used, hence made.
-- A lane is pair|priority, a flow lane|key: the waiting jobs of a key. The flow with the least start tag is next; its tag grows
-- by the cost of each job that is taken, and the virtual time of the lane is the greatest tag taken. Jobs that came back
-- have had their turn: they are the flow of the key '', which comes first and is charged nothing.
-- The state of a flow is start|tie|cost: w before it when jobs wait, else i.
local COST = 1000000 -- of a job of a key with weight 1

local function fair_turns()
  local AHEAD_MAX = 100 -- flows without a job that a lane remembers while they are ahead; the least so goes first
  local FORGET = 16 -- of them that a call may forget, beside one for each flow that it changes
  local LANE_MAX = 1000
  local BEGIN = 1 -- the virtual time of a lane in which nobody waits; 0 is the tag of the jobs that came back
  local NEW = '0000000000000000|0000000000000000|0'
  local turns, ways, times, flows, touched = {}, {}, {}, {}, {}

  -- What the turn of a job means for its pair, read once for each key of a call.
  local function way_of(pair, turn)
    local name = pair .. '|' .. turn
    local way = ways[name]
    if not way then
      local priority, dot = string.sub(turn, 1, 1), string.find(turn, '.', 3, true)
      local lane, key = pair .. '|' .. priority, string.sub(turn, dot + 1)
      way = {priority = priority, cost = string.sub(turn, 3, dot - 1), key = key, lane = lane, flow = lane .. '|' .. key}
      ways[name] = way
    end
    return way
  end

  -- The name of the flow in which the job waits.
  local function flow_name(way, j) return j.attempt ~= j.first and way.lane .. '|' or way.flow end

  -- Reads the fields of `turns` that the call has not read yet.
  local function read_turns(fields)
    local unknown = {}
    for _, field in ipairs(fields) do
      if turns[field] == nil then
        turns[field] = false
        unknown[#unknown + 1] = field
      end
    end
    if #unknown == 0 then return end
    for i, text in ipairs(call('HMGET', TURNS, unpack(unknown))) do turns[unknown[i]] = text end
  end

  local function virtual_time(lane)
    local now = times[lane]
    if not now then
      read_turns({lane})
      now = tonumber(turns[lane] or BEGIN)
      times[lane] = now
    end
    return now
  end

  local function flow_member(lane, state, tail)
    return (string.sub(state, 1, 1) == 'w' and '' or '~') .. lane .. '|' .. string.sub(state, 2) .. tail
  end

  -- A flow of the key behind `tail` (|key), with the letter and the state that the store has; '' = it has none. The other fields
  -- are what it will be at the end of the call, and all are named here, since a table that grows costs twice.
  local function flow_with(lane, tail, was, member)
    local state = was == '' and 'i' .. NEW or was
    local name = lane .. tail
    local flow = {
      name = name, lane = lane, tail = tail, was = was, member = member, waits = string.sub(state, 1, 1) == 'w',
      start = tonumber(string.sub(state, 2, 17)), tie = string.sub(state, 19, 34), cost = string.sub(state, 36), used = 0,
      jobs = false, text = '', is_touched = false, is_shorter = false, ends = false,
    }
    flows[name] = flow
    return flow
  end

  local function flow_of(lane, name)
    if flows[name] then return flows[name] end
    read_turns({lane, name})
    local was, tail = turns[name] or '', string.sub(name, #lane + 1)
    return flow_with(lane, tail, was, was ~= '' and flow_member(lane, was, tail))
  end

  -- The flow will be written; and its lane may have something to forget, if it `ends` a turn.
  local function touch(flow, ends)
    if not flow.is_touched then
      flow.is_touched = true
      touched[#touched + 1] = flow
    end
    flow.ends = flow.ends or ends
  end

  -- The job begins to wait. A key without a waiting job starts at the virtual time, or where it is ahead of it.
  local function begin_turn(j)
    local way = way_of(j.pair, j.turn)
    local name = flow_name(way, j)
    local state = not flows[name] and turns[name]
    if state and string.sub(state, 1, 1) == 'w' and string.sub(state, 36) == way.cost then return name end -- as it is
    local flow = flow_of(way.lane, name)
    local is_new = flow.tail ~= '|'
    if is_new and flow.cost ~= way.cost then
      flow.cost = way.cost -- the weight of the key may be new
      touch(flow)
    end
    if not flow.waits then
      flow.waits, flow.tie = true, j.place
      if is_new then flow.start = math.max(flow.start, virtual_time(way.lane)) end
      touch(flow)
    end
    return name
  end

  -- The job stops to wait without a turn: nothing was charged for it.
  local function end_turn(j)
    local way = way_of(j.pair, j.turn)
    local name = flow_name(way, j)
    local flow = flow_of(way.lane, name)
    flow.is_shorter = true
    touch(flow, true)
    return name
  end

  -- The key pays for one more job: one of it failed by itself, and comes back before all others.
  local function charge(j)
    local way = way_of(j.pair, j.turn)
    local flow = flow_of(way.lane, way.flow)
    flow.cost = way.cost
    flow.start = math.max(flow.start, virtual_time(way.lane)) + tonumber(way.cost)
    touch(flow, true)
  end

  -- The next job of a flow, and the one behind it; the flow is read as far as needed.
  local function two_of(flow, want)
    local used, jobs = flow.used + 1, flow.jobs or members_of(WAITING, flow.name, 2)
    if used == 2 and #jobs == 2 and want > 1 then jobs = members_of(WAITING, flow.name, want + 1) end
    flow.used, flow.jobs = used, jobs
    return jobs[used], jobs[used + 1]
  end

  -- The flow enters the line, which begins at `first` and is in the order of the turns.
  local function queue_up(line, first, flow)
    local at, lane, start, tie = #line, flow.lane, flow.start, flow.tie
    while at >= first do
      local other = line[at]
      if lane > other.lane then break end
      if lane == other.lane then
        if start > other.start or start == other.start and tie > other.tie then break end
      end
      line[at + 1] = other
      at = at - 1
    end
    line[at + 1] = flow
  end

  -- The entries and names of the next `want` waiting jobs of `pair`, and whether others wait behind them.
  local function next_turns(pair, want)
    local line, first, entries, ids = {}, 1, {}, {}
    for i, member in ipairs(members_of(FLOWS, pair, want + 1)) do
      local lane, at = string.sub(member, 1, #pair + 2), string.find(member, '|', #pair + 38, true) -- behind the cost
      line[i] = flow_with(lane, string.sub(member, at), 'w' .. string.sub(member, #pair + 4, at - 1), member)
    end
    while #entries < want and line[first] do
      local flow = line[first]
      first = first + 1
      local entry, after = two_of(flow, want)
      if entry then -- else a part of the data was lost
        entries[#entries + 1], ids[#ids + 1] = entry, string.sub(entry, #flow.name + 19)
        if flow.tail ~= '|' then
          times[flow.lane] = math.max(virtual_time(flow.lane), flow.start)
          flow.start = flow.start + flow.cost
        end
      end
      touch(flow, true)
      flow.waits = after ~= nil
      if after then
        flow.tie = string.sub(after, #flow.name + 2, #flow.name + 17)
        queue_up(line, first, flow)
      end
    end
    return entries, ids, line[first] ~= nil
  end

  -- Flows of `lane` without a waiting job that are not remembered any longer; all of them when nobody waits in it.
  local function forgotten(lane, is_used)
    local idle, now, gone = '~' .. lane, virtual_time(lane), {}
    if not is_used and #members_of(FLOWS, lane, 1) == 0 then
      times[lane] = BEGIN
      return members_of(FLOWS, idle, LANE_MAX)
    end
    local found = members_of(FLOWS, idle, FORGET + #touched)
    if #found == 0 then return gone end
    local too_many = call('ZLEXCOUNT', FLOWS, '[' .. idle .. '|', '(' .. idle .. '}') - AHEAD_MAX
    for i, member in ipairs(found) do
      if i > too_many and tonumber(string.sub(member, #idle + 2, #idle + 17)) > now then break end
      gone[i] = member
    end
    return gone
  end

  -- Writes the flows that the call has touched; `waiting` has been written.
  local function write_turns()
    local remove, add, set, delete, lanes, is_listed, is_used = {}, {}, {}, {}, {}, {}, {}
    local function write(field, text)
      if text == '' then
        delete[#delete + 1] = field
      else
        set[#set + 1] = field
        set[#set + 1] = text
      end
    end
    for _, flow in ipairs(touched) do
      local lane = flow.lane
      if flow.is_shorter then flow.waits = #members_of(WAITING, flow.name, 1) > 0 end
      flow.text = ''
      if flow.waits or flow.tail ~= '|' and flow.start > virtual_time(lane) then
        flow.text = string.format('%s%016d|', flow.waits and 'w' or 'i', flow.start) .. flow.tie .. '|' .. flow.cost
      end
      if flow.text ~= flow.was then
        if flow.member then remove[#remove + 1] = flow.member end
        if flow.text ~= '' then
          add[#add + 1] = '0'
          add[#add + 1] = flow_member(lane, flow.text, flow.tail)
        end
      end
      if flow.waits then is_used[lane] = true end
      if flow.ends and not is_listed[lane] then
        is_listed[lane] = true
        lanes[#lanes + 1] = lane
      end
    end
    if #remove > 0 then call('ZREM', FLOWS, unpack(remove)) end
    if #add > 0 then call('ZADD', FLOWS, unpack(add)) end

    local gone = {}
    for _, lane in ipairs(lanes) do
      for _, member in ipairs(forgotten(lane, is_used[lane])) do
        gone[#gone + 1] = member
        local name = lane .. '|' .. string.match(member, '^%d+|%d+|%d+|(.*)$', #lane + 3)
        if flows[name] then
          flows[name].text = ''
        else
          delete[#delete + 1] = name
        end
      end
      local time = virtual_time(lane)
      local text = time > BEGIN and string.format('%d', time) or ''
      if text ~= (turns[lane] or '') then write(lane, text) end
    end
    for _, flow in ipairs(touched) do
      if flow.text ~= flow.was then write(flow.name, flow.text) end
    end
    if #gone > 0 then call('ZREM', FLOWS, unpack(gone)) end
    if #set > 0 then call('HSET', TURNS, unpack(set)) end
    if #delete > 0 then call('HDEL', TURNS, unpack(delete)) end
  end

  return {
    way_of = way_of, read_turns = read_turns, begin_turn = begin_turn, end_turn = end_turn, charge = charge,
    next_turns = next_turns, write_turns = write_turns,
  }
end

local function turns_of(batch)
  if not batch.fair then batch.fair = fair_turns() end
  return batch.fair
end
