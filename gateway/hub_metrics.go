package gateway

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/gateway/internal/wire"
)

// Steps of what happens to a slow socket.
const (
	dropSoft = iota
	dropBody
	dropSocket
	dropSteps
)

type hubMetrics struct {
	connections prometheus.Gauge
	users       prometheus.Gauge
	deliveries  prometheus.Counter
	ackSeconds  prometheus.Histogram
	frames      [wire.Types]prometheus.Counter
	written     [wire.SentTypes]prometheus.Counter
	malformed   prometheus.Counter
	limited     prometheus.Counter
	dropped     [dropSteps]prometheus.Counter
	closes      *prometheus.CounterVec
	order       orderMetrics
}

// orderMetrics tell what the order of conversations cost.
type orderMetrics struct {
	held     prometheus.Counter // waited for those below them
	gaps     prometheus.Counter // went out above a gap: time or room was over
	repeated prometheus.Counter // were delivered already
	late     prometheus.Counter // came after those above them
}

func newOrderMetrics(reg prometheus.Registerer) orderMetrics {
	outcomes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gochat_gateway_order_total",
		Help: "Events that did not come in the order of their conversation: held, sent above a gap, dropped as repeated, sent late.",
	}, []string{"outcome"})
	reg.MustRegister(outcomes)
	return orderMetrics{
		held: outcomes.WithLabelValues("held"), gaps: outcomes.WithLabelValues("gap"),
		repeated: outcomes.WithLabelValues("repeated"), late: outcomes.WithLabelValues("late"),
	}
}

func newHubMetrics(h *Hub, reg prometheus.Registerer) *hubMetrics {
	m := &hubMetrics{
		connections: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gochat_gateway_connections", Help: "Open WebSocket connections."}),
		users:       prometheus.NewGauge(prometheus.GaugeOpts{Name: "gochat_gateway_users", Help: "Users with a connection."}),
		deliveries:  prometheus.NewCounter(prometheus.CounterOpts{Name: "gochat_gateway_deliveries_total", Help: "Events queued for a connection."}),
		ackSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gochat_gateway_ack_seconds", Help: "From a message's reception to its answer.",
			Buckets: []float64{.0005, .001, .002, .004, .008, .016, .032, .064, .125, .25, .5, 1, 2.5, 5},
		}),
		malformed: prometheus.NewCounter(prometheus.CounterOpts{Name: "gochat_gateway_frames_malformed_total", Help: "Frames that were not understood."}),
		limited:   prometheus.NewCounter(prometheus.CounterOpts{Name: "gochat_gateway_frames_limited_total", Help: "Frames over a rate limit."}),
		closes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gochat_gateway_closes_total", Help: "Closed connections by close code; 0 is a connection that just ended.",
		}, []string{"code"}),
	}
	m.order = newOrderMetrics(reg)
	frames := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gochat_gateway_frames_received_total", Help: "Frames of clients by type."}, []string{"type"})
	for t := range m.frames {
		m.frames[t] = frames.WithLabelValues(wire.Type(t).String()) //nolint:gosec // below wire.Types
	}
	written := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gochat_gateway_frames_sent_total", Help: "Frames to clients by type."}, []string{"type"})
	for t := range m.written {
		m.written[t] = written.WithLabelValues(wire.SentType(t).String()) //nolint:gosec // below wire.SentTypes
	}
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gochat_gateway_dropped_total", Help: "What slow sockets were spared, by step: soft, body, socket."}, []string{"step"})
	for i, step := range [dropSteps]string{"soft", "body", "socket"} {
		m.dropped[i] = dropped.WithLabelValues(step)
	}
	queued := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gochat_gateway_queued_bytes", Help: "Frames waiting to be written."},
		func() float64 { return float64(h.queuedBytes()) })
	reg.MustRegister(m.connections, m.users, m.deliveries, m.ackSeconds, m.malformed, m.limited, m.closes, frames, written, dropped, queued)
	return m
}

// sent counts frames that are about to be written.
func (m *hubMetrics) sent(frames *[wire.SentTypes]int) {
	for t, n := range frames {
		if n > 0 {
			m.written[t].Add(float64(n))
		}
	}
}

// closed counts a close; codes are the contract's, so the label is bounded.
func (m *hubMetrics) closed(code int) { m.closes.WithLabelValues(strconv.Itoa(code)).Inc() }

func stampReceived(o *gatewaypb.Origin, now time.Time) { o.ReceivedAt = now.UnixMicro() }

func (h *Hub) observeAck(o *gatewaypb.Origin) {
	if o.GetReceivedAt() != 0 {
		h.metrics.ackSeconds.Observe(time.Since(time.UnixMicro(o.GetReceivedAt())).Seconds())
	}
}
