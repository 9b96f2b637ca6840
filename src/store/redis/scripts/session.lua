-- Records: one hash a session, live or ended; `record.rs` has the fields.
local NAMES = {'f', 'd', 'o', 'O', 't', 'c', 'l', 'k', 'r', 'q', 'v', 's', 'b', 'u', 'i', 'm', 'p', 'n', 'z', 'D', 'h', 'F', 'G', 'B', 'E', 'N', 'Y'}
local TEXTS = {'s', 'o', 't', 'l', 'k'}
local NUMBERS = {'v', 'b', 'u', 'i', 'm', 'p', 'n', 'z'}

local function kind_of(r)
  if not r.f then return redis.call('EXISTS', r.key) == 1 and 'foreign' or 'none' end
  if not reads(r.f) then return tonumber(r.f) and 'newer' or 'foreign' end
  if r.d ~= r.id then return 'foreign' end
  if r.r then
    r.q = tonumber(r.q)
    return r.q and r.o and r.t and r.l and 'ended' or 'foreign'
  end
  for _, name in ipairs(TEXTS) do
    if not r[name] then return 'foreign' end
  end
  for _, name in ipairs(NUMBERS) do
    r[name] = tonumber(r[name])
    if not r[name] then return 'foreign' end
  end
  return 'live'
end

local function load(id)
  local r = {id = id, key = tag .. 's:' .. id}
  local got = redis.pcall('HMGET', r.key, unpack(NAMES))
  for at, name in ipairs(NAMES) do r[name] = got[at] end
  r.kind = got.err and 'foreign' or kind_of(r)
  return r
end

local function whole(r)
  return redis.call('HGETALL', r.key)
end

local function touch(r, at)
  r.u = math.max(r.u, at)
  r.i = math.min(math.max(r.i, at + r.p), r.m)
end

-- Adds a use that is known and not yet written; one after the expiry comes too late.
local function count_use(r, at)
  local counts = at and at > r.u and at < r.i
  if counts then touch(r, at) end
  return counts
end

-- What a token's hash is to a session, as `model::rotation` has it. A former token has 8 bytes of its hash in F and
-- as many of the moment in G when its grace is over.
local function token_status(r, hash)
  if r.t == hash then return 'present' end
  local marks, ends = r.F or '', r.G or ''
  for at = #marks - 7, 1, -8 do
    if string.sub(marks, at, at + 7) == string.sub(hash, 1, 8) then
      if now >= struct.unpack('>I8', ends, at) then return 'reused' end
      return r.h == hash and 'previous' or 'late'
    end
  end
  return 'never'
end

local function good(r, hash)
  local what = token_status(r, hash)
  return what == 'present' or what == 'previous'
end

-- Takes sessions of one login, or of no known one, out of the indexes.
local function unlink(gone, login_key)
  if #gone == 0 then return end
  if login_key then redis.call('ZREM', tag .. 'l:' .. login_key, unpack(gone)) end
  redis.call('ZREM', ids, unpack(gone))
  redis.call('ZREM', expiries, unpack(gone))
end

-- How many sessions each registration of a service has, in one hash for all that count themselves by the same format:
-- what versions that do not count have ended meanwhile is forgotten with that of theirs.
local function count(format, owner, by)
  local key = tag .. 'n:' .. format
  if redis.call('HINCRBY', key, owner, by) <= 0 then redis.call('HDEL', key, owner) end
  return key
end

local function owner_of(r)
  return (r.O or '') .. ' ' .. r.o
end

-- Those that are counted.
local function discount(endings)
  local ended = {}
  for _, ending in ipairs(endings) do
    local r = ending.session
    if r.N then
      local owners = ended[r.N] or {}
      ended[r.N], owners[owner_of(r)] = owners, (owners[owner_of(r)] or 0) + 1
    end
  end
  for format, owners in pairs(ended) do
    for owner, many in pairs(owners) do count(format, owner, -many) end
  end
end

local function remove_records(endings)
  local gone, keys, of_logins = {}, {}, {}
  for at, ending in ipairs(endings) do
    local r = ending.session
    gone[at], keys[at] = r.id, r.key
    local of_login = of_logins[r.k] or {}
    of_login[#of_login + 1], of_logins[r.k] = r.id, of_login
  end
  for login_key, of_login in pairs(of_logins) do redis.call('ZREM', tag .. 'l:' .. login_key, unpack(of_login)) end
  unlink(gone)
  redis.call('DEL', unpack(keys))
end

-- The one place where records become tombstones, each with its one event. What is removed is removed together: a call
-- costs Redis more than most of what it does.
local function end_sessions(endings)
  if #endings == 0 then return end
  remove_records(endings)
  discount(endings)
  for _, ending in ipairs(endings) do
    local r, reason, at, by, detail = ending.session, ending.reason, ending.at, ending.by, ending.detail
    r.kind, r.q = 'ended', at + tombstone_kept
    if r.q > now then
      redis.call('HSET', r.key, unpack(with({'f', FORMAT, 'd', r.id, 'o', r.o, 't', r.t, 'l', r.l, 'r', reason, 'e', at,
        'q', r.q}, 'O', r.O, 'c', r.c, 'h', r.h, 'F', r.F, 'G', r.G, 'B', r.B, 'y', by, 'w', detail)))
      redis.call('PEXPIRE', r.key, r.q - now)
    end
    emit('e', at, r, 'r', reason, 'm', math.max(0, at - r.b), 'b', by, 'd', detail)
  end
end

local function ending(r, reason, at, by, detail)
  return {session = r, reason = reason, at = at, by = by, detail = detail}
end

-- Whether a session has ended so, for who does not know whether an earlier attempt of its own has done it.
local function ended_so(r, reason, by)
  return r.kind == 'ended' and r.r == reason and redis.call('HGET', r.key, 'y') == by
end

local function end_session(...)
  end_sessions({ending(...)})
end

-- The ending that a session is marked with.
local function marked(r)
  local at, by, detail = unpack(redis.call('HMGET', r.key, 'e', 'y', 'w'))
  r.b = tonumber(r.b)
  return ending(r, r.r, tonumber(at), by, detail)
end

-- Loads a session with a use of it that is known. If it has expired, or is marked as ended, and nobody has met it yet,
-- its ending is told too.
local function load_or_ending(id, used)
  local r = load(id)
  if r.kind == 'ended' and r.E then return r, marked(r) end
  if r.kind ~= 'live' then return r end
  count_use(r, used)
  if now >= r.i then return r, ending(r, r.m <= r.i and 'max_age' or 'idle_timeout', r.i) end
  return r
end

-- A session as it is now: live, ended, newer, or nothing to be told of (none, foreign, over).
-- If it has expired and nobody has met it yet, it ends here.
local function load_or_expire(id, used)
  local r, over = load_or_ending(id, used)
  if over then end_sessions({over}) end
  if r.kind == 'ended' and now >= r.q then r.kind = 'over' end
  return r
end

-- Whether a session is in sight of a scope: a service, and since when it is registered. Sessions that versions before
-- opened do not tell under which registration; their ids begin with the moment.
local function within(r, scope)
  if not scope then return true end
  local since, service = string.match(scope, '^(%d+) (.*)$')
  if r.o ~= service then return false end
  if r.O then return r.O == since end
  return struct.unpack('>I6', r.id) >= tonumber(since)
end

-- The answer about a session that is not live, or out of sight.
local function refusal(r, scope)
  local seen = within(r, scope)
  if r.kind == 'newer' then return {'newer', r.f} end
  if r.kind == 'ended' and seen then return {'ended', now, whole(r)} end
  if r.kind ~= 'live' or not seen then return {'unknown'} end
end

local function remember(operation_id, ...)
  if not operation_id then return end
  local key = tag .. 'k:' .. operation_id
  redis.call('HSET', key, 'q', now + OPERATION_KEPT, ...)
  redis.call('PEXPIRE', key, OPERATION_KEPT)
end

-- What the first operation with this operation id did.
local function repeated(operation_id, scope, used)
  if not operation_id then return end
  local key = tag .. 'k:' .. operation_id
  local kept = redis.call('HMGET', key, 'q', 'd', 'i', 'n', 'w', 'e')
  if not kept[1] then return end
  if now >= tonumber(kept[1]) then
    redis.call('DEL', key)
    return
  end
  local r = load_or_expire(kept[2], used)
  return refusal(r, scope) or {'again', now, whole(r), kept[3] or '0', kept[4] or '', kept[5] or '', kept[6] or ''}
end
