package gateway

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
)

// Hub knows the connections of this process and brings results and events to
// them. It implements GatewayService and depends on no other role. It has no
// goroutine of its own while it has no connection.
type Hub struct {
	gatewaypb.UnimplementedGatewayServiceServer

	cfg     Config
	log     *slog.Logger
	id      string
	lastID  atomic.Int64
	metrics *hubMetrics
	flusher flusher
	wheel   wheel
	clock   hubClock

	users       [hubShards]userShard
	conns       [hubShards]connShard
	index       [hubShards]indexShard
	tombs       tombstones
	order       order
	receipts    receipts
	suspensions suspensions
	announce    atomic.Pointer[announcer] // nil: nobody else needs to know whom this gateway serves

	waitersMu sync.Mutex
	waiters   map[int64]chan *gatewaypb.Result
}

const hubShards = 64

// userShard holds the connections of some of the users, as a list through conn.nextOfUser.
type userShard struct {
	mu    sync.RWMutex
	first map[int64]*conn
}

// connShard holds some of the connections by id, unauthenticated ones too.
type connShard struct {
	mu   sync.RWMutex
	byID map[int64]*conn
}

// NewHub makes a hub without connections.
func NewHub(cfg Config, log *slog.Logger, reg prometheus.Registerer) *Hub {
	h := &Hub{cfg: cfg, log: log, clock: newHubClock(), waiters: map[int64]chan *gatewaypb.Result{}}
	h.metrics = newHubMetrics(h, reg)
	h.flusher.init(cfg.WebSocket.FlushWorkers)
	h.wheel.fire, h.wheel.now = h.alarm, h.clock.now
	h.order.init(cfg.Order, h.metrics.order, h.begin)
	var b [16]byte
	_, _ = rand.Read(b[:])
	h.id = hex.EncodeToString(b[:8])
	// A random base keeps ids of different lives of the process apart.
	h.lastID.Store(int64(binary.LittleEndian.Uint64(b[8:]) >> 2 &^ (1<<32 - 1))) //nolint:gosec // 62 bits
	for i := range hubShards {
		h.users[i].first = map[int64]*conn{}
		h.conns[i].byID = map[int64]*conn{}
		h.index[i].audience = map[int64]map[*conn]struct{}{}
	}
	return h
}

func (h *Hub) nextID() int64 { return h.lastID.Add(1) }

// shardOf spreads ids: their low bits may be poor, their high bits are time.
func shardOf(id int64) int { return int(uint64(id) * 0x9e3779b97f4a7c15 >> 58) } //nolint:gosec // a hash

func (h *Hub) userShard(id int64) *userShard { return &h.users[shardOf(id)] }

// add makes a connection known by its id.
func (h *Hub) add(c *conn) {
	s := &h.conns[shardOf(c.id)]
	s.mu.Lock()
	s.byID[c.id] = c
	s.mu.Unlock()
	h.metrics.connections.Inc()
}

func (h *Hub) lookup(id int64) *conn {
	s := &h.conns[shardOf(id)]
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byID[id]
}

// register gives a user an authenticated connection: false when it has too
// many. From then on the connection gets what is delivered to the user.
func (h *Hub) register(c *conn, userID, sessionID, expiresAt int64) bool {
	s := h.userShard(userID)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for o := s.first[userID]; o != nil; o = o.nextOfUser {
		n++
	}
	if n >= h.cfg.Limits.ConnectionsPerUser {
		return false
	}
	c.mu.Lock()
	c.userID, c.sessionID, c.expiresAt = userID, sessionID, h.clock.at(time.UnixMilli(expiresAt))
	c.authBy = 0
	c.mu.Unlock()
	c.nextOfUser = s.first[userID]
	s.first[userID] = c
	h.suspensions.apply(c, userID)
	h.announce.Load().hold(spaceUsers, userID)
	if n == 0 {
		h.metrics.users.Inc()
	}
	return true
}

// remove forgets a connection.
func (h *Hub) remove(c *conn) {
	c.mu.Lock()
	c.gone, c.closing = true, true
	userID := c.userID
	indexed := c.indexed
	c.indexed = nil
	c.mu.Unlock()
	for _, conversation := range indexed {
		h.unindex(c, conversation)
	}
	cs := &h.conns[shardOf(c.id)]
	cs.mu.Lock()
	delete(cs.byID, c.id)
	cs.mu.Unlock()
	h.metrics.connections.Dec()
	if userID == 0 {
		return
	}
	s := h.userShard(userID)
	s.mu.Lock()
	defer s.mu.Unlock()
	found := false
	for at := s.first[userID]; at != nil && !found; at = at.nextOfUser {
		found = at == c
	}
	if !found {
		return
	}
	if s.first[userID] == c {
		if s.first[userID] = c.nextOfUser; c.nextOfUser == nil {
			delete(s.first, userID)
			h.metrics.users.Dec()
		}
	} else {
		before := s.first[userID]
		for before.nextOfUser != c {
			before = before.nextOfUser
		}
		before.nextOfUser = c.nextOfUser
	}
	c.nextOfUser = nil
	h.announce.Load().release(spaceUsers, userID)
}

// ofUser returns the connections of a user.
func (h *Hub) ofUser(userID int64) []*conn {
	s := h.userShard(userID)
	s.mu.RLock()
	defer s.mu.RUnlock()
	var list []*conn
	for c := s.first[userID]; c != nil; c = c.nextOfUser {
		list = append(list, c)
	}
	return list
}

// all returns every connection.
func (h *Hub) all() []*conn {
	var list []*conn
	for i := range h.conns {
		s := &h.conns[i]
		s.mu.RLock()
		for _, c := range s.byID {
			list = append(list, c)
		}
		s.mu.RUnlock()
	}
	return list
}

// send queues a frame for one connection.
func (h *Hub) send(c *conn, f *outFrame) {
	if c.enqueue(f) {
		h.flusher.push(c)
	}
}

// alarm looks at a connection whose moment has come and says when to look again.
func (h *Hub) alarm(c *conn, now int64) int64 {
	beat := h.cfg.WebSocket.Heartbeat.Milliseconds()
	quiet := beat + beat/2
	c.mu.Lock()
	last := c.lastRead.Load()
	if c.sync != nil {
		last = now // the client takes what it has asked for
	}
	if last+quiet > now {
		c.pinged = false
	}
	ping := false
	var how closing
	switch {
	case c.closing:
	case c.authBy != 0 && now >= c.authBy:
		how = closing{code: codeAuthTimeout, reason: "not authenticated in time"}
	case c.decidedBy != 0 && now >= c.decidedBy, c.resumeAt != 0 && now >= c.resumeAt:
		how = gapSeen
	case c.expiresAt != 0 && now >= c.expiresAt:
		how = closing{code: codeTokenExpired, reason: "the token has expired"}
	case c.pinged && now >= last+quiet+beat/2:
		how = closing{code: codePingTimeout, reason: "ping timeout"}
	case !c.pinged && c.authBy == 0 && now >= last+quiet:
		c.pinged, ping = true, true
	}
	next := c.nextAlarm(now, last, quiet, beat)
	over := c.closing && now >= c.closeAt
	c.mu.Unlock()
	switch {
	case over:
		c.reset()
	case how.code != 0:
		c.close(how)
		return now + closeTimeout.Milliseconds()
	case ping:
		h.send(c, pingFrame)
	}
	return next
}

func (c *conn) nextAlarm(now, last, quiet, beat int64) int64 {
	if c.closing {
		return c.closeAt
	}
	next := last + quiet
	if c.pinged {
		next += beat / 2
	}
	for _, due := range [...]int64{c.authBy, c.expiresAt, c.decidedBy, c.resumeAt} {
		if due != 0 {
			next = min(next, due)
		}
	}
	return max(next, now)
}
