"""C4, C5, C9: the old choice and heartbeat as scripts of real Redis commands, so that a server counts them.

A pool is a thousand shards, whether or not they exist. Each shard is queried for its size, also for a pair without
nodes, and for its membership of a session's node. A heartbeat writes all pools of the node again. Keys begin with
PREFIX; they are built inside the script, as in the old design (R19).
"""

from __future__ import annotations

from collections.abc import Iterator

PREFIX = "before"
SHARD_MAX = 100
SHARDS_MAX = 1000

CHOOSE = f"""
local pair, affine = ARGV[1], ARGV[2]
local function shard(number) return '{PREFIX}:pool:' .. pair .. ':' .. number end

if affine ~= '' then
  for number = 0, {SHARDS_MAX - 1} do
    if redis.call('SISMEMBER', shard(number), affine) == 1 then return affine end
  end
end

local found = {{}}
for number = 0, {SHARDS_MAX - 1} do
  if redis.call('SCARD', shard(number)) > 0 then
    found[#found + 1] = number
  elseif #found > 0 then
    break
  end
end
if #found == 0 then return '' end
for try = 1, 64 do
  local node = redis.call('SRANDMEMBER', shard(found[math.random(#found)]))
  if redis.call('EXISTS', '{PREFIX}:node:' .. node) == 1 then return node end
end
return ''
"""
"""ARGV: pair, the node of the session or ''. Returns a node or ''."""

BEAT = f"""
local node = ARGV[1]
redis.call('EXPIRE', '{PREFIX}:node:' .. node, 45)
for i = 2, #ARGV do redis.call('SADD', '{PREFIX}:pool:' .. ARGV[i] .. ':0', node) end
return 'OK'
"""
"""ARGV: node, its pairs."""


def registered(node_id: str, number: int, pair: str) -> Iterator[tuple[str, ...]]:
    """Yield the commands that write node `number` and add it to its shard of `pair`."""
    yield ("HSET", f"{PREFIX}:node:{node_id}", "slots", "1")
    yield ("SADD", f"{PREFIX}:pool:{pair}:{number // SHARD_MAX}", node_id)
