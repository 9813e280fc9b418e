-- Texts in order, with ranks. A short list keeps them itself, at 1 to size; a long one keeps sorted blocks of at most
-- BLOCK_MAX texts, and a Fenwick tree over the sizes of the blocks, made when a rank is asked for and again after a
-- block came or went. A search, an insert, a removal and a rank cost O(log n), and O(blocks) once per block that fills
-- or empties.
local BLOCK_MAX = 128

-- ---- how many lie before a place: a Fenwick tree over counts

-- LuaJIT doesn't compile what calls a short loop, so the loops of a step or two that are run all the time are written
-- out: `step` for each power of two, from 2^LEVELS down to 1, or nested.
local LEVELS = 20
local FAR = 2 ^ 50 -- more than any rank

local function written_out(head, step, tail, closing)
  local lines = {head}
  for level = LEVELS, 0, -1 do lines[#lines + 1] = string.gsub(step, 'STEP', tostring(2 ^ level)) end
  return loadstring('local band, min, max = bit.band, math.min, math.max return ' .. table.concat(lines, ' ')
    .. tail .. string.rep(' end', closing and LEVELS + 1 or 0) .. ' end')()
end

local Counts = {}

-- `size_of(list, i)` is the count at place i, from 1 to `length`.
function Counts.build(length, size_of, list)
  local tree, top = {length = length}, 1
  for i = 1, length do tree[i] = size_of(list, i) end
  for i = 1, length do
    local parent = i + bit.band(i, -i)
    if parent <= length then tree[parent] = tree[parent] + tree[i] end
  end
  while top * 2 <= length do top = top * 2 end
  for i = length + 1, 2 * top do tree[i] = FAR end
  tree.top = top
  return tree
end

-- The count at `place` changed.
Counts.add = written_out('function(tree, place, by) local length = tree.length',
  'if place <= length then tree[place] = tree[place] + by place = place + band(place, -place)', '', true)

-- The sum of the counts before `place`.
Counts.before = written_out('function(tree, place) local sum = 0 place = place - 1',
  'if place > 0 then sum = sum + tree[place] place = band(place, place - 1)',
  string.rep(' end', LEVELS + 1) .. ' return sum', false)

-- The place that holds the item of `rank` (from 0 on), and its rank within that place. `taken` is 1 when the step is
-- taken, else 0: a branch that nobody can foresee would cost more.
Counts.find = written_out('function(tree, rank) local top, place = tree.top, 0',
  'if STEP <= top then local count = tree[place + STEP] local taken = min(1, max(0, rank - count + 1)) '
  .. 'place = place + STEP * taken rank = rank - count * taken end',
  ' return place + 1, rank', false)

-- ---- one sorted run of texts: at 1 to `size`

-- The first place whose text is >= `text`; size + 1 when there is none.
local function place_in(run, text)
  local low, high = 1, run.size + 1
  while low < high do
    local middle = bit.rshift(low + high, 1)
    if run[middle] < text then low = middle + 1 else high = middle end
  end
  return low
end

local function insert_into(run, text)
  local size = run.size
  if size == 0 or run[size] < text then
    run[size + 1], run.size = text, size + 1
    return
  end
  local place = place_in(run, text)
  for i = size, place, -1 do run[i + 1] = run[i] end
  run[place], run.size = text, size + 1
end

local function remove_from(run, text)
  local size = run.size
  if run[size] == text then
    run[size], run.size = nil, size - 1
    return
  end
  for i = place_in(run, text), size do run[i] = run[i + 1] end
  run.size = size - 1
end

-- Moves what lies behind the middle of `run` to a new one.
local function halve(run)
  local upper, keep = {size = run.size - BLOCK_MAX / 2}, BLOCK_MAX / 2
  for i = 1, upper.size do
    upper[i], run[keep + i] = run[keep + i], nil
  end
  run.size = keep
  return upper
end

-- ---- the list

local RankedList = {Counts = Counts}

function RankedList.new()
  return {size = 0, blocks = nil, tree = nil}
end

-- The place of the first block that ends with a text >= `text`; of the last one when none does.
local function block_for(blocks, text)
  local low, high = 1, #blocks
  while low < high do
    local middle = bit.rshift(low + high, 1)
    local block = blocks[middle]
    if block[block.size] < text then low = middle + 1 else high = middle end
  end
  return low
end

local function insert_into_blocks(list, text)
  local blocks = list.blocks
  local index = block_for(blocks, text)
  insert_into(blocks[index], text)
  if blocks[index].size > BLOCK_MAX then
    table.insert(blocks, index + 1, halve(blocks[index]))
    list.tree = nil
  elseif list.tree then
    Counts.add(list.tree, index, 1)
  end
  list.size = list.size + 1
end

local function grow_blocks(list)
  local block = {size = list.size}
  for i = 1, list.size do
    block[i], list[i] = list[i], nil
  end
  list.blocks = {block, halve(block)}
end

-- `text` must not be in the list.
function RankedList.insert(list, text)
  if list.blocks then
    insert_into_blocks(list, text)
  else
    insert_into(list, text)
    if list.size > BLOCK_MAX then grow_blocks(list) end
  end
end

-- `text` must be in the list. A long list that got short keeps its last block.
function RankedList.remove(list, text)
  local blocks = list.blocks
  if not blocks then
    remove_from(list, text)
    return
  end
  local index = block_for(blocks, text)
  remove_from(blocks[index], text)
  list.size = list.size - 1
  if blocks[index].size == 0 and #blocks > 1 then
    table.remove(blocks, index)
    list.tree = nil
  elseif list.tree then
    Counts.add(list.tree, index, -1)
  end
end

local function size_of_block(list, index) return list.blocks[index].size end

-- The text of `rank`, from 0 to size - 1.
function RankedList.at(list, rank)
  local blocks = list.blocks
  if not blocks then return list[rank + 1] end
  local tree = list.tree
  if not tree then
    tree = Counts.build(#blocks, size_of_block, list)
    list.tree = tree
  end
  local index, place = Counts.find(tree, rank)
  return blocks[index][place + 1]
end

-- How many texts are before `text`.
function RankedList.before(list, text)
  local blocks = list.blocks
  if not blocks then return place_in(list, text) - 1 end
  local index, count = block_for(blocks, text), 0
  for i = 1, index - 1 do count = count + blocks[i].size end
  return count + place_in(blocks[index], text) - 1
end

-- The texts of `count` ranks from `rank` on.
function RankedList.slice(list, rank, count)
  local texts = {}
  for i = rank, math.min(rank + count, list.size) - 1 do texts[#texts + 1] = RankedList.at(list, i) end
  return texts
end

-- All texts, in order.
function RankedList.all(list)
  local texts = {}
  for _, block in ipairs(list.blocks or {list}) do
    for i = 1, block.size do texts[#texts + 1] = block[i] end
  end
  return texts
end

-- The first `count` texts, in order.
function RankedList.first(list, count)
  local texts = {}
  for _, block in ipairs(list.blocks or {list}) do
    for i = 1, math.min(block.size, count - #texts) do texts[#texts + 1] = block[i] end
    if #texts >= count then break end
  end
  return texts
end

return RankedList
