package task

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task/taskpb"
)

// deadKindPrefix begins the kind of the jobs that hold dead records; their topic follows.
const deadKindPrefix = "bus:"

// requeueable are the topics whose dead records Requeue can publish again.
var requeueable = map[string]func() proto.Message{
	logicpb.UpstreamTopic: func() proto.Message { return new(logicpb.Upstream) },
	taskpb.PersistTopic:   func() proto.Message { return new(taskpb.Persist) },
	taskpb.GroupTopic:     func() proto.Message { return new(taskpb.GroupFanout) },
	taskpb.PushTopic:      func() proto.Message { return new(taskpb.PushCandidates) },
}

// graveyard keeps records that could not be handled as dead jobs.
type graveyard struct {
	bus         bus.Bus
	repo        repopb.RepoServiceServer
	callTimeout time.Duration
	metrics     *metrics
	wake        func()
}

// onDead returns the OnDead of a topic: it publishes the record with its reason to im-dead-letter-topic.
func (g *graveyard) onDead(topic string) func(context.Context, bus.Record, error) error {
	return func(ctx context.Context, r bus.Record, cause error) error {
		payload, err := payloadOf(r.Message)
		if err != nil {
			return fmt.Errorf("encode dead record: %w", err)
		}
		g.metrics.deadRecords.WithLabelValues(topic).Inc()
		return g.bus.Publish(ctx, taskpb.DeadLetterTopic, bus.Record{Key: r.Key, Message: &taskpb.DeadLetter{
			Topic: topic, Key: strconv.FormatInt(r.Key, 10), Payload: payload, Error: reasonOf(cause),
		}})
	}
}

// reasonOf returns what is kept of an error: so much that a bus which took the record has room for both.
func reasonOf(cause error) string {
	const most = 2 << 10
	text := cause.Error()
	if len(text) > most {
		text = text[:most]
	}
	return strings.ToValidUTF8(text, "")
}

// payloadOf returns the bytes of a dead record: also those that could not be
// decoded, which the bus hands over as they are.
func payloadOf(m proto.Message) ([]byte, error) {
	if raw, ok := m.(*wrapperspb.BytesValue); ok {
		return raw.GetValue(), nil
	}
	return proto.Marshal(m)
}

// handle is the handler of im-dead-letter-topic: each record becomes a job
// that buries itself when it runs first, and publishes the record when it was requeued.
func (g *graveyard) handle(ctx context.Context, batch []bus.Record) error {
	jobs := make([]*repopb.Job, 0, len(batch))
	for _, r := range batch {
		letter, ok := r.Message.(*taskpb.DeadLetter)
		if !ok {
			return errs.New(errs.Invalid, "record of %s holds no dead letter", taskpb.DeadLetterTopic)
		}
		payload, err := proto.Marshal(letter)
		if err != nil {
			return fmt.Errorf("encode dead letter: %w", err)
		}
		digest := sha256.Sum256(append([]byte(letter.Key+"\x00"), letter.Payload...))
		jobs = append(jobs, &repopb.Job{
			Kind: deadKindPrefix + letter.Topic, Key: deadKindPrefix + letter.Topic + ":" + hex.EncodeToString(digest[:16]),
			Payload: payload, DueAt: time.Now().UnixMilli(),
		})
	}
	ctx, cancel := context.WithTimeout(ctx, g.callTimeout)
	defer cancel()
	if _, err := g.repo.CreateJobs(ctx, &repopb.CreateJobsRequest{Jobs: jobs}); err != nil {
		return fmt.Errorf("keep dead records: %w", err)
	}
	g.wake()
	return nil
}

// kinds are the job kinds of the requeueable topics.
func (g *graveyard) kinds() map[string]jobKind {
	kinds := make(map[string]jobKind, len(requeueable))
	for topic := range requeueable {
		kinds[deadKindPrefix+topic] = jobKind{run: g.run, attempts: 5, backoff: time.Second, maxBackoff: time.Minute}
	}
	return kinds
}

// run implements jobFunc. A job that never failed is new: it is buried with
// the record's own error. One that did has been requeued.
func (g *graveyard) run(ctx context.Context, job *repopb.Job) (func(context.Context) error, error) {
	var letter taskpb.DeadLetter
	if err := proto.Unmarshal(job.Payload, &letter); err != nil {
		return nil, fmt.Errorf("decode dead letter: %w", errors.Join(err, errBury))
	}
	if job.LastError == "" {
		return nil, fmt.Errorf("%s: %w", letter.Error, errBury)
	}
	topic := strings.TrimPrefix(job.Kind, deadKindPrefix)
	message := requeueable[topic]()
	if err := proto.Unmarshal(letter.Payload, message); err != nil {
		return nil, fmt.Errorf("decode dead record: %w", errors.Join(err, errBury))
	}
	key, err := strconv.ParseInt(letter.Key, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("decode the key of a dead record: %w", errors.Join(err, errBury))
	}
	if err := g.bus.Publish(ctx, topic, bus.Record{Key: key, Message: message}); err != nil {
		return nil, fmt.Errorf("publish dead record: %w", err)
	}
	return nil, nil
}
