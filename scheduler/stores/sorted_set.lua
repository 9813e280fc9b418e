-- A sorted set of Redis: member -> score, with two orders that are kept only once a command has asked for them.
-- By score: a heap, in which removed members stay until they come to its top or are too many.
-- By name: members are alike in form, group|rest, and ranges are whole groups (a node's holds, a pair's nodes), or parts of
-- one, group|part|rest. A group
-- is a ranked list; the groups stand in order, too, so that each member has a rank in the set.
local RankedList, RoomyMap = ...
local Counts = RankedList.Counts
local SLACK = 64 -- leftovers that are too few to clean up

local SortedSet = {}

function SortedSet.new()
  return {
    scores = RoomyMap.new(), -- member -> score
    text_of = {}, -- member -> its score as text, for those that were asked for
    heap = nil, -- {length, scores, members}
    groups = nil, -- name -> a RankedList with name and place; empty ones are kept for a while, they come again
    group_count = 0,
    empty_groups = 0,
    order = nil, -- the groups by name, or nil when it must be made
    tree = nil, -- the counts of `order`, or nil when it must be made
  }
end

-- ---- by score

local function is_before(scores, members, i, j)
  return scores[i] < scores[j] or (scores[i] == scores[j] and members[i] < members[j])
end

local function swap(scores, members, i, j)
  scores[i], scores[j] = scores[j], scores[i]
  members[i], members[j] = members[j], members[i]
end

local function heap_push(heap, score, member)
  local scores, members, i = heap.scores, heap.members, heap.length + 1
  local parent = bit.rshift(i, 1)
  heap.length, scores[i], members[i] = i, score, member
  while parent > 0 and is_before(scores, members, i, parent) do
    swap(scores, members, i, parent)
    i, parent = parent, bit.rshift(parent, 1)
  end
end

local function heap_pop(heap)
  local scores, members, length = heap.scores, heap.members, heap.length
  local score, member = scores[1], members[1]
  scores[1], members[1] = scores[length], members[length]
  scores[length], members[length] = nil, nil
  length = length - 1
  heap.length = length
  local i = 1
  while i * 2 <= length do
    local child = i * 2
    if child < length and is_before(scores, members, child + 1, child) then child = child + 1 end
    if not is_before(scores, members, child, i) then break end
    swap(scores, members, i, child)
    i = child
  end
  return score, member
end

local function make_heap(set)
  local heap = {length = 0, scores = {}, members = {}}
  for member, score in pairs(set.scores.items) do heap_push(heap, score, member) end
  set.heap = heap
  return heap
end

-- The members with a score <= `highest`, at most `limit` of them, the lowest first.
function SortedSet.range_to_score(set, highest, limit)
  local heap = set.heap or make_heap(set)
  local found = {}
  while #found < limit and heap.length > 0 and heap.scores[1] <= highest do
    local score, member = heap_pop(heap)
    -- Not a leftover, nor the second entry of a member whose score went away and came back.
    if set.scores.items[member] == score and found[#found] ~= member then found[#found + 1] = member end
  end
  for _, member in ipairs(found) do heap_push(heap, set.scores.items[member], member) end
  return found
end

-- ---- by name

local function by_name(one, other) return one.name < other.name end

local function order_of(set)
  local order = set.order
  if not order then
    order = {}
    for _, group in pairs(set.groups) do order[#order + 1] = group end
    table.sort(order, by_name)
    for place, group in ipairs(order) do group.place = place end
    set.order, set.tree = order, nil
  end
  return order
end

local function size_of_group(order, place) return order[place].size end

local function tree_of(set)
  local order = order_of(set)
  if not set.tree then set.tree = Counts.build(#order, size_of_group, order) end
  return set.tree
end

local function new_group(set, name)
  local group, order = RankedList.new(), set.order
  group.name, group.place = name, 0
  set.groups[name] = group
  set.group_count = set.group_count + 1
  set.empty_groups = set.empty_groups + 1
  if order then
    local place = #order + 1
    while place > 1 and name < order[place - 1].name do
      order[place] = order[place - 1]
      order[place].place = place
      place = place - 1
    end
    order[place], group.place, set.tree = group, place, nil
  end
  return group
end

local function forget_empty_groups(set)
  for name, group in pairs(set.groups) do
    if group.size == 0 then set.groups[name] = nil end
  end
  set.group_count, set.empty_groups, set.order = set.group_count - set.empty_groups, 0, nil
end

-- The group of a member is all up to its first '|'.
local function name_of_group(member)
  local ends = string.find(member, '|', 1, true)
  if not ends then error('the model of Redis has an order by name only for members like group|rest: ' .. member, 0) end
  return string.sub(member, 1, ends)
end

local function enter_group(set, member)
  local name = name_of_group(member)
  local group = set.groups[name] or new_group(set, name)
  if group.size == 0 then set.empty_groups = set.empty_groups - 1 end
  RankedList.insert(group, member)
  if set.tree then Counts.add(set.tree, group.place, 1) end
end

local function leave_group(set, member)
  local group = set.groups[name_of_group(member)]
  RankedList.remove(group, member)
  if set.tree then Counts.add(set.tree, group.place, -1) end
  if group.size == 0 then
    set.empty_groups = set.empty_groups + 1
    if set.empty_groups > SLACK + set.group_count / 2 then forget_empty_groups(set) end
  end
end

local function groups_of(set)
  local groups = set.groups
  if not groups then
    groups = {}
    set.groups = groups
    for member in pairs(set.scores.items) do enter_group(set, member) end
  end
  return groups
end

local LEFT, UP_TO, HERE, ALL = string.byte('[(|}', 1, 4)

-- The name of the group that lies from [x| to (x}. The two x are taken to be the same: comparing would cost a text.
local function group_between(low, high)
  if string.byte(low) ~= LEFT or string.byte(low, -1) ~= HERE
    or string.byte(high) ~= UP_TO or string.byte(high, -1) ~= ALL or #low ~= #high then
    error('the model of Redis knows no range by name from ' .. low .. ' to ' .. high, 0)
  end
  return string.sub(low, 2)
end

-- The group that lies from `low` to `high`; or the group that has it as a part, from [x|y| to (x|y}, with its first rank in
-- that and its size.
local function find_range(set, low, high)
  local groups, name = groups_of(set), group_between(low, high)
  local group = groups[name]
  if group then return group end
  local ends = string.find(name, '|', 1, true)
  group = ends < #name and groups[string.sub(name, 1, ends)]
  if not group then return nil end
  local first = RankedList.before(group, name)
  return group, first, RankedList.before(group, string.sub(high, 2)) - first
end

-- The name of the group before which all lies that is counted from - to (x|.
local function group_after(low, high)
  if low ~= '-' or string.byte(high) ~= UP_TO or string.byte(high, -1) ~= HERE then
    error('the model of Redis knows no range by name from ' .. low .. ' to ' .. high, 0)
  end
  return string.sub(high, 2)
end

-- How many members of the group of [x|, or of that part of it, come before (x|y.
local function count_in_front(set, low, high)
  local name, text = string.sub(low, 2), string.sub(high, 2)
  local group = groups_of(set)[string.sub(name, 1, string.find(name, '|', 1, true))]
  return group and RankedList.before(group, text) - RankedList.before(group, name) or 0
end

-- How many members lie from `low` to `high`: a group, the first of one, or all before one.
function SortedSet.count_by_lex(set, low, high)
  if low ~= '-' then
    if string.byte(high) == UP_TO and string.sub(high, 2, #low) == string.sub(low, 2) then
      return count_in_front(set, low, high)
    end
    local group, _, size = find_range(set, low, high)
    return group and (size or group.size) or 0
  end
  local groups = groups_of(set)
  local name = group_after(low, high)
  local group = groups[name] or new_group(set, name)
  return Counts.before(tree_of(set), group.place)
end

function SortedSet.range_by_lex(set, low, high)
  local group, first, size = find_range(set, low, high)
  if first then return RankedList.slice(group, first, size) end
  return group and RankedList.all(group) or {}
end

-- The first `count` members from `low` to `high`.
function SortedSet.first_by_lex(set, low, high, count)
  local group, first, size = find_range(set, low, high)
  if first then return RankedList.slice(group, first, math.min(size, count)) end
  return group and RankedList.first(group, count) or {}
end

-- The member of `rank` (from 0 on), or nil.
function SortedSet.at_rank(set, rank)
  if rank >= set.scores.size then return nil end
  groups_of(set)
  local place, rank_in_group = Counts.find(tree_of(set), rank)
  return RankedList.at(set.order[place], rank_in_group)
end

-- ---- changes

-- Sets the score of `member`; true when it is new.
function SortedSet.put(set, score, member)
  local old = set.scores.items[member]
  if old == score then return false end
  RoomyMap.set(set.scores, member, score)
  if old then set.text_of[member] = nil end
  local heap = set.heap
  if heap then
    heap_push(heap, score, member)
    if heap.length > SLACK + 2 * set.scores.size then make_heap(set) end
  end
  if old then return false end
  if set.groups then enter_group(set, member) end
  return true
end

-- True when `member` was there.
function SortedSet.remove(set, member)
  if not RoomyMap.remove(set.scores, member) then return false end
  set.text_of[member] = nil
  if set.groups then leave_group(set, member) end
  return true
end

return SortedSet
