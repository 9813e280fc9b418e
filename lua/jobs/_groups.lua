-- Included by the job scripts after _partition: sorted sets by name.

-- The members of `key` that begin with `name`|, at most `limit` of them. '}' is the character after '|'.
local function members_of(key, name, limit)
  return call('ZRANGEBYLEX', key, '[' .. name .. '|', '(' .. name .. '}', 'LIMIT', 0, limit)
end
