// Package bus carries records between roles over topics: in process through
// lanes (embedded), or through Kafka. Records with the same key keep their
// order; delivery is at least once; every implementation passes bustest.
package bus

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/gochat-im/gochat/platform/trace"
)

// Record is one entry of a topic. Its message is shared: nobody mutates it
// after it was published.
type Record struct {
	Key     int64 // records of one key keep their order
	Message proto.Message
	Trace   *trace.Ref // where it belongs, and while it is handled the handler's span; nil: nowhere
	Again   bool       // of one that is handled: that may have been done before, partly or to its end
}

// Handler does the work of a batch, in order: the records of a key stand in the
// order in which they were published. The batch is valid during the call only. When it returns nil the records are
// done. An error of code errs.Unavailable or errs.Timeout repeats the batch
// with backoff until it succeeds; any other error repeats the records one by
// one, and each that still fails after the topic's attempts goes to OnDead.
type Handler func(ctx context.Context, batch []Record) error

// Topic describes one topic to a subscriber.
type Topic struct {
	Name     string
	New      func() proto.Message // an empty message of the topic's type
	MaxBatch int                  // records in one call of the handler; 0: the bus's default
	Attempts int                  // of a record that fails by itself; 0: the bus's default
	// OnDead takes over a record that failed for good. It is retried until it
	// returns nil. A record that cannot be decoded comes at once, with a
	// *wrapperspb.BytesValue of its bytes (at most the first 256 KiB).
	OnDead func(ctx context.Context, r Record, cause error) error
}

// Bus is the contract of both implementations. Subscribe comes before Start.
type Bus interface {
	// Publish hands records to a topic and returns when the bus has taken
	// them: for Kafka stored by all in-sync replicas, embedded queued. It waits
	// for room until ctx ends, then answers errs.Unavailable; records of one
	// call and key keep their order. Not retry-safe: consumers deduplicate.
	Publish(ctx context.Context, topic string, records ...Record) error
	// Subscribe gives a topic its handler in this process. A topic has one.
	Subscribe(topic Topic, handler Handler) error
	// Start begins delivery.
	Start(ctx context.Context) error
	// Stop refuses new records, finishes what was taken as long as ctx
	// allows, and returns when no handler runs any more.
	Stop(ctx context.Context) error
	// Depth is the number of records taken and not yet done, by topic.
	Depth() map[string]int
}
