package registry

import "github.com/gochat-im/gochat/platform/redis"

// The states of an instance in its kind's hash.
const (
	stateReady   = "r" // its bindings are all there
	stateRebuild = "b" // it lives, and some of its bindings may be missing
	stateLeft    = "l" // it left; remembered for a lease, so that nothing late brings it back
)

// beat renews an instance's lease, or registers it. The fields of a kind's hash are ids, their values
// "lease's end in the server's milliseconds|state|server|address". Another server than the one that a reader talks to
// means that the hash was restored from an old copy, and the bindings as well. Whoever registers ends the others of its
// address: only one process can listen there, so they are dead.
//
// KEYS: the hash. ARGV: id, lease in ms, state, "server|address", "1" to register.
// Answers 1: renewed; 0: it was not there and is now; -1: not registered, the id lives already elsewhere or has left.
var beat = redis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = tonumber(ARGV[2])
local answer = 0
local old = redis.call('HGET', KEYS[1], ARGV[1])
if old then
  local ends, state = string.match(old, '^(%d+)|(%a)|')
  if state == 'l' and ARGV[3] ~= 'l' then return -1 end
  if tonumber(ends) > now then
    if ARGV[5] == '1' and string.match(old, '^%d+|%a|%w*|(.*)$') ~= string.match(ARGV[4], '|(.*)$') then return -1 end
    answer = 1
  end
end
if ARGV[5] == '1' then
  local mine, all = string.match(ARGV[4], '|(.*)$'), redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    local server, address = string.match(all[i + 1], '^%d+|%a|(%w*)|(.*)$')
    if address == mine and all[i] ~= ARGV[1] then
      redis.call('HSET', KEYS[1], all[i], string.format('%d|l|%s|%s', now + lease, server, address))
    end
  end
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d|%s|%s', now + lease, ARGV[3], ARGV[4]))
redis.call('PEXPIRE', KEYS[1], lease * 20)
if answer == 0 then
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    if tonumber(string.match(all[i + 1], '^%d+')) + lease < now then redis.call('HDEL', KEYS[1], all[i]) end
  end
end
return answer`)

// list reads a kind's hash. It writes too, an instance that has left: a server that answers but takes no writes (a full
// disk, a replica) ends no leases in the eyes of its readers, because nobody could renew one. KEYS: the hash. Answers id, milliseconds until the lease's end (not above 0: it ended),
// state, address of each instance, one after the other.
var list = redis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], '~', string.format('%d|l||', now))
local all, out = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #all, 2 do
  local ends, state, server, address = string.match(all[i + 1], '^(%d+)|(%a)|(%w*)|(.*)$')
  out[#out + 1] = all[i]
  out[#out + 1] = string.format('%d', tonumber(ends) - now)
  out[#out + 1] = state
  out[#out + 1] = server
  out[#out + 1] = address
end
return out`)

// bind writes an instance into a key's string, or takes it out. The string holds "id@end@version" for each instance,
// separated by blanks; an end is in the server's seconds, and what has ended is left out of what is written. A version
// grows with each write of an instance: one that comes late, over a connection that was given up, undoes nothing.
//
// KEYS: the key. ARGV: id, version, seconds until the end (0 takes the instance out).
var bind = redis.NewScript(`
local now = tonumber(redis.call('TIME')[1])
local ttl, rest = tonumber(ARGV[3]), {}
local old = redis.call('GET', KEYS[1])
for id, ends, version in string.gmatch(old or '', '([^@ ]+)@(%d+)@(%d+)') do
  if id == ARGV[1] then
    if tonumber(version) > tonumber(ARGV[2]) then return 0 end
  elseif tonumber(ends) > now then
    rest[#rest + 1] = id .. '@' .. ends .. '@' .. version
  end
end
if ttl > 0 then
  rest[#rest + 1] = string.format('%s@%d@%s', ARGV[1], now + ttl, ARGV[2])
  redis.call('SET', KEYS[1], table.concat(rest, ' '), 'EX', ttl)
elseif #rest > 0 then
  redis.call('SET', KEYS[1], table.concat(rest, ' '), 'KEEPTTL')
elseif old then
  redis.call('DEL', KEYS[1])
end
return 1`)

// agreement sets a value unless there is one, and keeps it for a lease when it is the caller's.
// KEYS: the key. ARGV: value, lease in ms. Answers the value.
var agreement = redis.NewScript(`
local now = redis.call('GET', KEYS[1])
if not now or now == ARGV[1] then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return now or ARGV[1]`)
