-- Puts a successor in the place of a session's token, with the one event of it. The nodes that listen are told more
-- than the event has, so that each can do it again.
local KEPT = 8 * 8
local function swap_token(r, hash, sealed, at, grace, by)
  local marks = string.sub((r.F or '') .. string.sub(r.t, 1, 8), -KEPT)
  local ends = string.sub((r.G or '') .. struct.pack('>I8', at + grace), -KEPT)
  touch(r, at)
  redis.call('HDEL', r.key, 'c')
  redis.call('HSET', r.key, unpack(with({'t', hash, 'h', r.t, 'F', marks, 'G', ends, 'R', at, 'X', sealed,
    'u', r.u, 'i', r.i}, 'B', r.c and r.t or r.B)))
  emit('r', at, r, 'b', by)
  publish(channel, 'turn', r.id, r.t, hash, sealed, at, grace, by)
end
