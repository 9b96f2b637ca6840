-- Puts a successor in the place of a session's token, with the one event of it. The nodes that listen are told more
-- than the event has, so that each can do it again.
local KEPT = 8 * 8
local function turn(r, hash, sealed, at, grace, by)
  local marks = string.sub((r.F or '') .. string.sub(r.t, 1, 8), -KEPT)
  local ends = string.sub((r.G or '') .. struct.pack('>I8', at + grace), -KEPT)
  local brought = r.c and r.t or r.B
  touch(r, at)
  redis.call('HDEL', r.key, 'c')
  redis.call('HSET', r.key, 't', hash, 'h', r.t, 'F', marks, 'G', ends, 'R', at, 'X', sealed, 'u', r.u, 'i', r.i)
  if brought then redis.call('HSET', r.key, 'B', brought) end
  emit('r', at, r, {'b', by})
  say(ARGV[4], {'turn', r.id, r.t, hash, sealed, at, grace, by})
end
