package task

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/bus/embedded"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
	"github.com/gochat-im/gochat/task/taskpb"
)

// The role on the real bus: what was published is stored, answered, delivered
// in order and decided for push, while lanes run concurrently.
func TestOnTheEmbeddedBus(t *testing.T) {
	t.Parallel()
	const conversations, each = 20, 50
	s, g := newStore(), &sockets{online: []int64{1}}
	b := embedded.New(embedded.DefaultConfig(), slog.New(slog.DiscardHandler), nil)
	cfg := DefaultConfig()
	quietPush(&cfg)
	if _, err := New(cfg, s, g, b, slog.New(slog.DiscardHandler), nil); err != nil {
		t.Fatal(err)
	}
	for c := range int64(conversations) {
		s.group(c+1, 1, 2)
	}
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.setDown(errs.New(errs.Unavailable, "not yet"))
	for i := range each {
		for c := range int64(conversations) {
			r := bus.Record{Key: c + 1, Message: message(c+1, 1, fmt.Sprint(c, "-", i))}
			if i%10 == 9 {
				r.Message = committed(s.commit(c+1, repopb.EventKind_EVENT_KIND_EDIT))
			}
			if err := b.Publish(t.Context(), taskpb.PersistTopic, r); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.setDown(nil)
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(g.results()); n != conversations*each*9/10 {
		t.Errorf("%d answers, want %d", n, conversations*each*9/10)
	}
	for c := range int64(conversations) {
		seqs := g.seqs(c + 1)
		slices.Sort(seqs) // their order is kept by the gateways
		if len(seqs) != each || seqs[0] != 1 || seqs[each-1] != each || len(slices.Compact(seqs)) != each {
			t.Errorf("conversation %d: delivered %v, want 1 to %d once", c+1, seqs, each)
		}
	}
	if n := len(s.keysOf()); n != conversations {
		t.Errorf("%d push jobs, want %d", n, conversations)
	}
	if n := s.outboxLen(); n != 0 {
		t.Errorf("%d outbox entries left", n)
	}
}
