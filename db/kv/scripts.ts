/**
 * Lua that runs inside Redis, small and the same for every client. A counter is a hash: `used` is all that is taken from
 * the limit, spent or held; a field a holder is `seq epoch given spent reserved termEndMs`. Numbers are doubles: exact
 * to 2^53, and written with %.0f since tostring() rounds to 14 digits.
 */

/** load(key, id) reads a counter, takes back what was reserved for holders whose term has ended, and forgets old ones. */
const LOAD = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local FORGET_MS = 600000
local function record(seq, epoch, given, spent, reserved, term)
  return string.format('%.0f %.0f %.0f %.0f %.0f %.0f', seq, epoch, given, spent, reserved, term)
end
local function load(key, id)
  local flat = redis.call('HGETALL', key)
  local c = { used = 0, others = 0, live = 1, seq = 0, epoch = 0, given = 0, spent = 0, reserved = 0 }
  local freed = 0
  for i = 1, #flat, 2 do
    local name, value = flat[i], flat[i + 1]
    if name == 'used' then
      c.used = tonumber(value)
    else
      local seq, epoch, given, spent, reserved, term = string.match(value, '^(%d+) (%d+) (%-?%d+) (%-?%d+) (%d+) (%d+)$')
      seq, epoch, given, spent = tonumber(seq), tonumber(epoch), tonumber(given), tonumber(spent)
      reserved, term = tonumber(reserved), tonumber(term)
      if term <= now and reserved > 0 then
        freed = freed + reserved
        reserved = 0
        redis.call('HSET', key, name, record(seq, epoch, given, spent, 0, term))
      end
      if name == id then
        c.seq, c.epoch, c.given, c.spent, c.reserved = seq, epoch, given, spent, reserved
      elseif term > now then
        c.others = c.others + math.max(0, given - spent) + reserved
        c.live = c.live + 1
      elseif term + FORGET_MS < now then
        redis.call('HDEL', key, name)
      end
    end
  end
  if freed > 0 then
    c.used = c.used - freed
    redis.call('HSET', key, 'used', string.format('%.0f', c.used))
  end
  return c
end
local function text(n) return string.format('%.0f', n) end
`

/** KEYS: counters. ARGV: for each limit, ttlMs, amount. Answers the index that refuses (0: none), then what is left of each. */
export const TAKE = `${LOAD}
local counters, refused = {}, 0
for k = 1, #KEYS do
  counters[k] = load(KEYS[k], '')
  local limit, amount = tonumber(ARGV[k * 3 - 2]), tonumber(ARGV[k * 3])
  if refused == 0 and counters[k].used + math.max(1, amount) > limit then refused = k end
end
local answer = { text(refused) }
for k = 1, #KEYS do
  local limit, ttl, amount = tonumber(ARGV[k * 3 - 2]), ARGV[k * 3 - 1], tonumber(ARGV[k * 3])
  local c = counters[k]
  if refused == 0 and amount > 0 then
    c.used = c.used + amount
    redis.call('HSET', KEYS[k], 'used', text(c.used))
    redis.call('PEXPIRE', KEYS[k], ttl)
  end
  answer[k + 1] = text(math.max(0, limit - c.used))
end
return answer
`

/** KEYS: one counter. ARGV: ttlMs, amount, which may be negative. */
export const ADD = `${LOAD}
local used = tonumber(redis.call('HGET', KEYS[1], 'used') or 0) + tonumber(ARGV[2])
redis.call('HSET', KEYS[1], 'used', text(math.max(0, used)))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return text(used)
`

/**
 * KEYS: one counter. ARGV: ttlMs, what is used at least. What holders have counts as used: how much of it is, they have
 * yet to say.
 */
export const AT_LEAST = `${LOAD}
local c = load(KEYS[1], '')
if c.used < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'used', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return text(c.used)
`

/** KEYS: counters. Answers for each what is used, what holders have of that as far as they said left out. */
export const READ = `${LOAD}
local answer = {}
for k = 1, #KEYS do
  local c = load(KEYS[k], '')
  answer[k] = text(math.max(0, c.used - c.others))
end
return answer
`

/**
 * KEYS: counters, last the set of instances. ARGV: id, termMs, leaving (1 or 0), channel of recalls; then for each
 * counter limit, ttlMs, seq, epoch, had, spent, want, least, more. Answers the instances, then given, reserved, free,
 * others for each. A word that comes late changes nothing and is given nothing.
 */
export const LEASE = `${LOAD}
local id, term, members = 'i:' .. ARGV[1], tonumber(ARGV[2]), KEYS[#KEYS]
local answer = { '' }
for k = 1, #KEYS - 1 do
  local key, at = KEYS[k], k * 9 - 5
  local limit, ttl, seq, epoch = tonumber(ARGV[at + 1]), ARGV[at + 2], tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local had, spent, want = tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6]), tonumber(ARGV[at + 7])
  local least, more = tonumber(ARGV[at + 8]), tonumber(ARGV[at + 9])
  local c = load(key, id)
  local given, reserved = 0, 0
  if seq > c.seq then
    if epoch > c.epoch then c.given = 0 end
    -- The difference first: a sum of two totals may be more than a double holds.
    c.used = math.max(0, c.used + (had - c.given) - c.reserved)
    local pool = limit - c.used
    if pool >= want then
      local extra = math.min(more, math.floor((pool - want) / (2 * c.live)))
      reserved = math.floor(extra / 2)
      given = want + extra - reserved
    elseif pool >= least and pool > 0 then
      given = pool
    end
    c.used = c.used + given + reserved
    local served = math.min(had + given, spent + math.min(given, want))
    redis.call('HSET', key, 'used', text(c.used), id, record(seq, epoch, had + given, served, reserved, now + term))
    redis.call('PEXPIRE', key, ttl)
    if given < want and c.others > 0 then redis.call('PUBLISH', ARGV[4], key) end
  end
  answer[#answer + 1] = text(given)
  answer[#answer + 1] = text(reserved)
  answer[#answer + 1] = text(limit - c.used)
  answer[#answer + 1] = text(c.others)
end
if ARGV[3] == '1' then redis.call('ZREM', members, id) else redis.call('ZADD', members, text(now), id) end
redis.call('ZREMRANGEBYSCORE', members, '-inf', text(now - 60000))
redis.call('PEXPIRE', members, '120000')
answer[1] = text(math.max(1, redis.call('ZCARD', members)))
return answer
`

/**
 * Who is not silent, or named among the arguments from `first` on, and what is reserved for them; who is; and a mark of all that the
 * counter's hash says. To be called after load().
 */
const HEARD = `
local function hear(key, members, silent, first)
  local heard, names, rows, kept = {}, {}, {}, 0
  local function name(id)
    if not heard[id] then
      heard[id] = true
      names[#names + 1] = id
    end
  end
  for i = first, #ARGV do name(ARGV[i]) end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', members, text(now - silent), '+inf')) do name(id) end
  local flat = redis.call('HGETALL', key)
  local old = {}
  for i = 1, #flat, 2 do
    local id, value = flat[i], flat[i + 1]
    rows[#rows + 1] = id .. '=' .. value
    if id ~= 'used' then
      local reserved, term = string.match(value, ' (%d+) (%d+)$')
      if heard[id] or tonumber(term) + silent > now then
        name(id)
        kept = kept + tonumber(reserved)
      else
        old[#old + 1] = id
      end
    end
  end
  table.sort(rows)
  return names, kept, redis.sha1hex(table.concat(rows, ',')), old
end
`

/** KEYS: one counter, the set of instances. ARGV: silentMs, then who lives. Answers used, kept, the mark, then the names of who was heard. */
export const CENSUS = `${LOAD}${HEARD}
local c = load(KEYS[1], '')
local names, kept, mark = hear(KEYS[1], KEYS[2], tonumber(ARGV[1]), 2)
local answer = { text(c.used), text(kept), mark }
for _, id in ipairs(names) do answer[#answer + 1] = id end
return answer
`

/** KEYS: one counter, the set of instances. ARGV: silentMs, the mark, the amount, ttlMs, then who lives. Answers 1, or 0 when the mark is another. */
export const RECLAIM = `${LOAD}${HEARD}
local c = load(KEYS[1], '')
local _, _, mark, old = hear(KEYS[1], KEYS[2], tonumber(ARGV[1]), 5)
if mark ~= ARGV[2] then return { '0' } end
redis.call('HSET', KEYS[1], 'used', text(math.max(0, c.used - tonumber(ARGV[3]))))
for _, id in ipairs(old) do redis.call('HDEL', KEYS[1], id) end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return { '1' }
`
