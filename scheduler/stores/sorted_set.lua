-- A sorted set as Redis has it: members ordered by (score, member), with ranks. Sorted blocks of at most BLOCK_MAX
-- members; the count of members before a block comes from a Fenwick tree over the blocks, which is built when a wide
-- rank is first asked for and rebuilt after a block came or went. Searches and ranks cost O(log n), an insert or a
-- removal O(log n + BLOCK_MAX) plus O(blocks) once per block filled or emptied.
local BLOCK_MAX = 128
local NEAR = 8 -- so many blocks are counted one by one

local SortedSet = {}

function SortedSet.new()
  return {
    size = 0,
    score_of = {}, -- member -> score
    blocks = {}, -- each {count, scores, members}
    block_count = 0,
    top_scores = {}, -- the last entry of each block
    top_members = {},
    tree = nil, -- Fenwick tree of the counts, or nil when it must be built
  }
end

-- The first block that may hold an entry >= (score, member): the last block when none does.
local function find_block(set, score, member)
  local top_scores, top_members = set.top_scores, set.top_members
  local low, high = 1, set.block_count
  while low < high do
    local middle = math.floor((low + high) / 2)
    local top = top_scores[middle]
    if top < score or (top == score and top_members[middle] < member) then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

-- The place of the first entry of `block` >= (score, member); count + 1 when there is none.
local function find_in_block(block, score, member)
  local scores, members = block.scores, block.members
  local low, high = 1, block.count + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    local other = scores[middle]
    if other < score or (other == score and members[middle] < member) then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

local function build_tree(set)
  local tree, blocks, count = {}, set.blocks, set.block_count
  for i = 1, count do tree[i] = blocks[i].count end
  for i = 1, count do
    local parent = i + bit.band(i, -i)
    if parent <= count then tree[parent] = tree[parent] + tree[i] end
  end
  set.tree = tree
  return tree
end

local function count_changed(set, block_index, by)
  local tree, count = set.tree, set.block_count
  if tree then
    local i = block_index
    while i <= count do
      tree[i] = tree[i] + by
      i = i + bit.band(i, -i)
    end
  end
end

-- How many members lie in the blocks before `block_index`.
local function members_before(set, block_index)
  local tree, i, sum = set.tree or build_tree(set), block_index - 1, 0
  while i > 0 do
    sum = sum + tree[i]
    i = i - bit.band(i, -i)
  end
  return sum
end

local function insert_block(set, block_index, block)
  local blocks, top_scores, top_members = set.blocks, set.top_scores, set.top_members
  for i = set.block_count, block_index, -1 do
    blocks[i + 1], top_scores[i + 1], top_members[i + 1] = blocks[i], top_scores[i], top_members[i]
  end
  blocks[block_index] = block
  top_scores[block_index] = block.scores[block.count]
  top_members[block_index] = block.members[block.count]
  set.block_count = set.block_count + 1
  set.tree = nil
end

local function remove_block(set, block_index)
  local blocks, top_scores, top_members = set.blocks, set.top_scores, set.top_members
  for i = block_index, set.block_count do
    blocks[i], top_scores[i], top_members[i] = blocks[i + 1], top_scores[i + 1], top_members[i + 1]
  end
  set.block_count = set.block_count - 1
  set.tree = nil
end

-- The upper part of a full block becomes a block of its own. At the end of the set it is small, since sets that grow
-- in order (due times) would else leave half-full blocks behind.
local function split(set, block_index)
  local block = set.blocks[block_index]
  local keep = block_index == set.block_count and BLOCK_MAX - 8 or BLOCK_MAX / 2
  local upper = {count = block.count - keep, scores = {}, members = {}}
  for i = keep + 1, block.count do
    upper.scores[i - keep], upper.members[i - keep] = block.scores[i], block.members[i]
    block.scores[i], block.members[i] = nil, nil
  end
  block.count = keep
  set.top_scores[block_index], set.top_members[block_index] = block.scores[keep], block.members[keep]
  insert_block(set, block_index + 1, upper)
end

local function insert(set, score, member)
  if set.block_count == 0 then
    insert_block(set, 1, {count = 1, scores = {score}, members = {member}})
    return
  end
  local block_index = find_block(set, score, member)
  if set.blocks[block_index].count >= BLOCK_MAX then
    split(set, block_index)
    block_index = find_block(set, score, member)
  end
  local block = set.blocks[block_index]
  local scores, members, place = block.scores, block.members, find_in_block(block, score, member)
  for i = block.count, place, -1 do scores[i + 1], members[i + 1] = scores[i], members[i] end
  scores[place], members[place] = score, member
  block.count = block.count + 1
  if place == block.count then set.top_scores[block_index], set.top_members[block_index] = score, member end
  count_changed(set, block_index, 1)
end

local function delete(set, score, member)
  local block_index = find_block(set, score, member)
  local block = set.blocks[block_index]
  local scores, members, count = block.scores, block.members, block.count
  local place = find_in_block(block, score, member)
  for i = place, count - 1 do scores[i], members[i] = scores[i + 1], members[i + 1] end
  scores[count], members[count] = nil, nil
  block.count = count - 1
  if count == 1 then
    remove_block(set, block_index)
  else
    if place == count then
      set.top_scores[block_index], set.top_members[block_index] = scores[count - 1], members[count - 1]
    end
    count_changed(set, block_index, -1)
  end
end

-- Sets the score of `member`; true when it is new.
function SortedSet.put(set, score, member)
  local old = set.score_of[member]
  if old == score then return false end
  if old then
    delete(set, old, member)
  else
    set.size = set.size + 1
  end
  set.score_of[member] = score
  insert(set, score, member)
  return not old
end

-- True when `member` was there.
function SortedSet.remove(set, member)
  local score = set.score_of[member]
  if not score then return false end
  set.score_of[member] = nil
  set.size = set.size - 1
  delete(set, score, member)
  return true
end

-- A position is (block index, place). The one of the first entry >= (score, member), or behind it when `after`.
local function position(set, score, member, after)
  local block_index = find_block(set, score, member)
  local block = set.blocks[block_index]
  local place = find_in_block(block, score, member)
  if after and block.members[place] == member and block.scores[place] == score then place = place + 1 end
  return block_index, place
end

-- The position where a range by member begins or ends; all members must have one score, as in Redis.
-- Bounds: '-' and '+' the ends, '[x' x itself belongs to the range, '(x' it doesn't.
local function lex_position(set, bound, is_end)
  local kind = string.sub(bound, 1, 1)
  if kind == '-' then return 1, 1 end
  if kind == '+' then return set.block_count, set.blocks[set.block_count].count + 1 end
  return position(set, set.top_scores[1], string.sub(bound, 2), (kind == '[') == is_end)
end

local function distance(set, from_block, from_place, to_block, to_place)
  if to_block - from_block > NEAR then
    return members_before(set, to_block) + to_place - members_before(set, from_block) - from_place
  end
  local sum = to_place - from_place
  for i = from_block, to_block - 1 do sum = sum + set.blocks[i].count end
  for i = to_block, from_block - 1 do sum = sum - set.blocks[i].count end
  return sum
end

function SortedSet.count_by_lex(set, low, high)
  local from_block, from_place = lex_position(set, low, false)
  local to_block, to_place = lex_position(set, high, true)
  return math.max(0, distance(set, from_block, from_place, to_block, to_place))
end

-- Up to `count` members from a position on.
local function slice(set, block_index, place, count)
  local found, block = {}, set.blocks[block_index]
  for i = 1, count do
    if place > block.count then
      block_index, place = block_index + 1, 1
      block = set.blocks[block_index]
      if not block then break end
    end
    found[i] = block.members[place]
    place = place + 1
  end
  return found
end

function SortedSet.range_by_lex(set, low, high)
  local block_index, place = lex_position(set, low, false)
  return slice(set, block_index, place, SortedSet.count_by_lex(set, low, high))
end

-- The members with a score <= `highest`, at most `limit` of them.
function SortedSet.range_to_score(set, highest, limit)
  local found = {}
  for block_index = 1, set.block_count do
    local block = set.blocks[block_index]
    for place = 1, block.count do
      if #found >= limit or block.scores[place] > highest then return found end
      found[#found + 1] = block.members[place]
    end
  end
  return found
end

-- The members of ranks from `first` to `last`, from 0 on.
function SortedSet.range_by_rank(set, first, last)
  last = math.min(last, set.size - 1)
  if first > last then return {} end
  local tree, count = set.tree or build_tree(set), set.block_count
  local step = 1
  while step * 2 <= count do step = step * 2 end
  local block_index, rest = 0, first
  while step >= 1 do -- descend to the last block that begins at or before the rank
    local next_index = block_index + step
    if next_index <= count and tree[next_index] <= rest then
      block_index = next_index
      rest = rest - tree[next_index]
    end
    step = math.floor(step / 2)
  end
  return slice(set, block_index + 1, rest + 1, last - first + 1)
end

-- Calls visit(member, score) in order.
function SortedSet.each(set, visit)
  for block_index = 1, set.block_count do
    local block = set.blocks[block_index]
    for place = 1, block.count do visit(block.members[place], block.scores[place]) end
  end
end

return SortedSet
