package task

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/platform/errs"
)

// metrics are the task role's.
type metrics struct {
	persisted, batches atomic.Int64 // for the Stats RPC

	batchMessages prometheus.Histogram
	waitSeconds   prometheus.Histogram
	storeSeconds  prometheus.Histogram
	ackSeconds    prometheus.Histogram
	refusals      *prometheus.CounterVec
	deliveries    prometheus.Counter
	pushDeferred  prometheus.Counter
	pushes        *prometheus.CounterVec
	jobs          *prometheus.CounterVec
	jobLag        prometheus.Histogram
	deadRecords   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		batchMessages: f.NewHistogram(prometheus.HistogramOpts{
			Name: "gochat_task_persist_batch_messages", Help: "Messages in one transaction.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 12),
		}),
		waitSeconds: f.NewHistogram(prometheus.HistogramOpts{
			Name: "gochat_task_persist_wait_seconds", Help: "How long the oldest message of a batch had waited to be stored since its reception.",
			Buckets: prometheus.ExponentialBuckets(0.000125, 2, 17),
		}),
		storeSeconds: f.NewHistogram(prometheus.HistogramOpts{
			Name: "gochat_task_persist_store_seconds", Help: "Time of storing one batch.",
			Buckets: prometheus.ExponentialBuckets(0.000125, 2, 16),
		}),
		ackSeconds: f.NewHistogram(prometheus.HistogramOpts{
			Name: "gochat_task_persist_ack_seconds", Help: "Time from a message's reception by the gateway to its answer.",
			Buckets: prometheus.ExponentialBuckets(0.00025, 2, 17),
		}),
		refusals: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gochat_task_refused_messages_total", Help: "Messages that were not stored, by error.",
		}, []string{"error"}),
		deliveries: f.NewCounter(prometheus.CounterOpts{
			Name: "gochat_task_deliveries_total", Help: "Events handed to the gateways.",
		}),
		pushDeferred: f.NewCounter(prometheus.CounterOpts{
			Name: "gochat_task_push_deferred_batches_total", Help: "Push decisions left to the outbox because the push queue was full.",
		}),
		pushes: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gochat_task_push_notices_total", Help: "Offline pushes, by outcome.",
		}, []string{"outcome"}),
		jobs: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gochat_task_job_runs_total", Help: "Runs of durable jobs, by outcome.",
		}, []string{"outcome"}),
		jobLag: f.NewHistogram(prometheus.HistogramOpts{
			Name: "gochat_task_job_lag_seconds", Help: "How late jobs started.",
			Buckets: prometheus.ExponentialBuckets(0.01, 4, 10),
		}),
		deadRecords: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gochat_task_dead_records_total", Help: "Bus records that failed for good, by topic.",
		}, []string{"topic"}),
	}
	return m
}

// waited notes how long the oldest of a batch has waited.
func (m *metrics) waited(origins []*gatewaypb.Origin) {
	oldest := int64(0)
	for _, o := range origins {
		if received := o.GetReceivedAt(); received != 0 && (oldest == 0 || received < oldest) {
			oldest = received
		}
	}
	if oldest != 0 {
		m.waitSeconds.Observe(time.Since(time.UnixMicro(oldest)).Seconds())
	}
}

func (m *metrics) stored(messages int, took time.Duration) {
	m.persisted.Add(int64(messages))
	m.batches.Add(1)
	m.batchMessages.Observe(float64(messages))
	m.storeSeconds.Observe(took.Seconds())
}

func (m *metrics) refused(code errs.Code) { m.refusals.WithLabelValues(code.String()).Inc() }

func (m *metrics) delivered(n int) { m.deliveries.Add(float64(n)) }

func (m *metrics) acked(results []*gatewaypb.Result) {
	now := time.Now().UnixMicro()
	for _, r := range results {
		if r.Origin.ReceivedAt != 0 {
			m.ackSeconds.Observe(float64(now-r.Origin.ReceivedAt) / 1e6)
		}
	}
}
