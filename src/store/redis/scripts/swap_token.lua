-- Whether a former token is the last one, and its successor was never used.
local function is_lost(r, presented)
  return r.Y and r.h == presented
end

-- Puts a successor in the place of a session's token, or of one that was never used and comes to stand before the one that
-- is presented again. It has one event. The nodes that listen are told more than the event has, so that each can do it again.
local MARK, KEPT = 8, 8 * 8
local function swap_token(r, presented, hash, sealed, at, grace, by)
  local marks, ends = r.F or '', r.G or ''
  local function add(token, over)
    marks = string.sub(marks .. string.sub(token, 1, MARK), -KEPT)
    ends = string.sub(ends .. struct.pack('>I8', over), -KEPT)
  end
  if presented ~= r.t then
    marks, ends = string.sub(marks, 1, -MARK - 1), string.sub(ends, 1, -MARK - 1)
    add(r.t, at)
  end
  add(presented, at + grace)
  touch(r, at)
  redis.call('HDEL', r.key, 'c')
  redis.call('HSET', r.key, unpack(with({'t', hash, 'h', presented, 'F', marks, 'G', ends, 'R', at, 'X', sealed, 'Y', 1,
    'u', r.u, 'i', r.i}, 'B', r.c and r.t or r.B)))
  emit('r', at, r, 'b', by)
  publish(channel, 'turn', r.id, presented, hash, sealed, at, grace, by)
end
