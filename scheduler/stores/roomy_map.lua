-- A table whose keys come and go. LuaJIT sizes a full hash table to what is alive in it, without spare room: with 1,000
-- live keys of 1,024 and as many coming as going, every 24th insert rehashes them all. This one is copied, before it is
-- full, into a table of twice its size. Read it as map.items[key].
local new_table = require('table.new')
local LEAST = 32

local RoomyMap = {}

function RoomyMap.new()
  return {items = new_table(0, 2 * LEAST), size = 0, room = LEAST}
end

local function make_room(map)
  local roomy = new_table(0, 2 * math.max(LEAST, map.size))
  for key, value in pairs(map.items) do roomy[key] = value end
  map.items, map.room = roomy, math.max(LEAST, map.size)
  return roomy
end

-- True when `key` is new.
function RoomyMap.set(map, key, value)
  local items = map.items
  if items[key] ~= nil then
    items[key] = value
    return false
  end
  if map.room == 0 then items = make_room(map) end
  items[key] = value
  map.room, map.size = map.room - 1, map.size + 1
  return true
end

-- True when `key` was there.
function RoomyMap.remove(map, key)
  local items = map.items
  if items[key] == nil then return false end
  items[key] = nil
  map.size = map.size - 1
  return true
end

return RoomyMap
