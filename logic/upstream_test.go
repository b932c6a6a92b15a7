package logic

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/bus"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

// up is a good message of user 1 in conversation 7.
func up(change ...func(*repopb.NewMessage)) *logicpb.Upstream {
	m := &repopb.NewMessage{ConversationId: 7, SenderId: 1, ClientMsgId: "c1", Content: "hi", MessageType: "text"}
	for _, c := range change {
		c(m)
	}
	return &logicpb.Upstream{Origin: &gatewaypb.Origin{GatewayId: "g", ConnectionId: 5, RequestId: "r1"}, Message: m}
}

func (r *rig) member(conversation, user int64, change ...func(*repopb.SenderState)) {
	state := &repopb.SenderState{Member: true, Active: true, Role: repopb.Role_ROLE_MEMBER}
	for _, c := range change {
		c(state)
	}
	r.store.senders[[2]int64{conversation, user}] = state
}

func TestSendMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(7, 1)
	for _, kind := range []string{"text", "image", "file", "audio", "video", "location", "custom"} {
		_, err := r.SendMessage(t.Context(), up(func(m *repopb.NewMessage) { m.MessageType = kind }))
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
	}
	published := r.lane.persist(t)
	if len(published) != 7 || !proto.Equal(published[0].GetOrigin(), up().GetOrigin()) || !proto.Equal(published[0].GetMessage(), up().GetMessage()) {
		t.Fatalf("published %v", published)
	}
	r.lane.err = errs.New(errs.Unavailable, "stopping")
	_, err := r.SendMessage(t.Context(), up())
	wantCode(t, err, errs.Unavailable)
}

// refusedMessages are messages that nobody may send, with the field to name and the code.
var refusedMessages = map[string]struct {
	code   errs.Code
	field  string
	change func(*repopb.NewMessage)
}{
	"no conversation":       {errs.Invalid, "conversation_id", func(m *repopb.NewMessage) { m.ConversationId = 0 }},
	"negative conversation": {errs.Invalid, "conversation_id", func(m *repopb.NewMessage) { m.ConversationId = -7 }},
	"system":                {errs.Invalid, "message_type", func(m *repopb.NewMessage) { m.MessageType = "system" }},
	"no type":               {errs.Invalid, "message_type", func(m *repopb.NewMessage) { m.MessageType = "" }},
	"case of the type":      {errs.Invalid, "message_type", func(m *repopb.NewMessage) { m.MessageType = "Text" }},
	"empty":                 {errs.Invalid, "content", func(m *repopb.NewMessage) { m.Content = "" }},
	"NUL":                   {errs.Invalid, "content", func(m *repopb.NewMessage) { m.Content = "a\x00b" }},
	"not UTF-8":             {errs.Invalid, "content", func(m *repopb.NewMessage) { m.Content = "a\xffb" }},
	"too large":             {errs.TooLarge, "content", func(m *repopb.NewMessage) { m.Content = strings.Repeat("a", 16<<10+1) }},
	"no client_msg_id":      {errs.Invalid, "client_msg_id", func(m *repopb.NewMessage) { m.ClientMsgId = "" }},
	"long client_msg_id":    {errs.Invalid, "client_msg_id", func(m *repopb.NewMessage) { m.ClientMsgId = strings.Repeat("c", 65) }},
	"client_msg_id UTF-8":   {errs.Invalid, "client_msg_id", func(m *repopb.NewMessage) { m.ClientMsgId = "\xff" }},
	"client_msg_id control": {errs.Invalid, "client_msg_id", func(m *repopb.NewMessage) { m.ClientMsgId = "a\r\nb" }},
}

func TestSendMessageRefusesBadMessages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(7, 1)
	for name, c := range refusedMessages {
		_, err := r.SendMessage(t.Context(), up(c.change))
		if errs.CodeOf(err) != c.code || errs.From(err).Details["field"] != c.field {
			t.Errorf("%s: got %v %v", name, err, errs.From(err).Details)
		}
	}
	_, err := r.SendMessage(t.Context(), &logicpb.Upstream{})
	wantCode(t, err, errs.Invalid)
	if n := len(r.lane.persist(t)); n != 0 {
		t.Fatalf("%d published", n)
	}
}

func TestSendMessageRefusesSenders(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	until := r.time().Add(time.Minute).UnixMilli()
	for name, c := range map[string]struct {
		code   errs.Code
		change func(*repopb.SenderState)
	}{
		"stranger":  {errs.NotFound, func(s *repopb.SenderState) { s.Member = false }},
		"dissolved": {errs.Conflict, func(s *repopb.SenderState) { s.Dissolved = true }},
		"muted":     {errs.Forbidden, func(s *repopb.SenderState) { s.MutedUntil = until }},
		"disabled":  {errs.Unauthorized, func(s *repopb.SenderState) { s.Active = false }},
		// What a stranger may not see answers like what does not exist, whatever its state.
		"stranger of a dissolved group": {errs.NotFound, func(s *repopb.SenderState) { s.Member, s.Dissolved = false, true }},
	} {
		r.member(7, 1, c.change)
		_, err := r.SendMessage(t.Context(), up())
		e := wantCode(t, err, c.code)
		if name == "muted" && e.Details["muted_until"] != strconv.FormatInt(until, 10) {
			t.Errorf("details %v", e.Details)
		}
	}
	r.member(7, 1, func(s *repopb.SenderState) { s.MutedUntil = r.time().Add(-time.Second).UnixMilli() })
	if _, err := r.SendMessage(t.Context(), up()); err != nil {
		t.Fatalf("a mute that ended: %v", err)
	}
}

// A batch is one look-up, one publication and one answer to all refusals; a bad message spoils no other.
func TestAdmitBatch(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(7, 1)
	var batch []bus.Record
	var want []string
	for name, c := range refusedMessages {
		bad := up(c.change)
		bad.Origin.FrameId = name
		batch = append(batch, bus.Record{Key: bad.GetMessage().GetConversationId(), Message: bad})
		good := up(func(m *repopb.NewMessage) { m.ClientMsgId = "good " + strconv.Itoa(len(want)) })
		want = append(want, good.GetMessage().GetClientMsgId())
		batch = append(batch, bus.Record{Key: 7, Message: good})
	}
	if err := r.lane.handler(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	published := r.lane.persist(t)
	if len(published) != len(want) {
		t.Fatalf("%d published, want %d", len(published), len(want))
	}
	for i, p := range published {
		if p.GetMessage().GetClientMsgId() != want[i] {
			t.Fatalf("order: %q at %d", p.GetMessage().GetClientMsgId(), i)
		}
	}
	if len(r.hub.results) != len(refusedMessages) {
		t.Fatalf("%d answers", len(r.hub.results))
	}
	for _, result := range r.hub.results {
		c := refusedMessages[result.GetOrigin().GetFrameId()]
		if errs.Code(result.GetCode()) != c.code || result.GetDetails()["field"] != c.field || result.GetError() == "" {
			t.Errorf("%s: %v", result.GetOrigin().GetFrameId(), result)
		}
	}
	if r.store.checks != 1 {
		t.Fatalf("%d look-ups", r.store.checks)
	}
}

// What may have been admitted before is not refused: a stranger now was a member then.
func TestAdmitBatchDoesNotKnowWhatItDidBefore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(7, 1)
	bad := up(func(m *repopb.NewMessage) { m.Content = "" })
	batch := []bus.Record{
		{Key: 7, Message: up(), Again: true},
		{Key: 7, Message: bad, Again: true},
		{Key: 8, Message: up(func(m *repopb.NewMessage) { m.ConversationId = 8 }), Again: true},
		{Key: 8, Message: up(func(m *repopb.NewMessage) { m.ConversationId = 8 })},
	}
	if err := r.lane.handler(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	var codes []errs.Code
	for _, result := range r.hub.results {
		codes = append(codes, errs.Code(result.GetCode()))
	}
	if want := []errs.Code{errs.Invalid, errs.Timeout, errs.NotFound}; !slices.Equal(codes, want) {
		t.Errorf("answers %v, want %v", codes, want)
	}
	if n := len(r.lane.persist(t)); n != 1 {
		t.Errorf("%d admitted", n)
	}
}

// A batch that comes again because the bus was full answers each refusal once.
func TestAdmitBatchThatRepeats(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(7, 1)
	batch := []bus.Record{{Key: 7, Message: up()}, {Key: 8, Message: up(func(m *repopb.NewMessage) { m.ConversationId = 8 })}}
	r.lane.err = errs.New(errs.Unavailable, "full")
	wantCode(t, r.lane.handler(t.Context(), batch), errs.Unavailable)
	if len(r.hub.results) != 0 {
		t.Fatalf("answered %v before the batch was done", r.hub.results)
	}
	r.lane.err = nil
	ctx, after := bus.CollectAfter(t.Context())
	if err := r.lane.handler(ctx, batch); err != nil {
		t.Fatal(err)
	}
	if len(r.hub.results) != 0 {
		t.Fatalf("answered %v before the batch was done", r.hub.results)
	}
	after.Call(t.Context())
	if len(r.hub.results) != 1 || len(r.lane.persist(t)) != 1 {
		t.Fatalf("answers %v, published %v", r.hub.results, r.lane.persist(t))
	}
}

func TestAdmitBatchWaitsForTheStore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.err = errs.New(errs.Unavailable, "store is away")
	wantCode(t, r.lane.handler(t.Context(), []bus.Record{{Key: 7, Message: up()}}), errs.Unavailable)
	if len(r.hub.results) != 0 {
		t.Fatal("answered what comes again")
	}
}

// A message whose admission failed for good is answered, without what only the log may see.
func TestDeadUpstreamIsAnswered(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := r.lane.topic.OnDead(t.Context(), bus.Record{Key: 7, Message: up()}, errors.New("disk I/O error")); err != nil {
		t.Fatal(err)
	}
	got := r.hub.results
	if len(got) != 1 || errs.Code(got[0].GetCode()) != errs.Internal || strings.Contains(got[0].GetError(), "disk") || got[0].GetClientMsgId() != "c1" {
		t.Fatalf("answers %v", got)
	}
}

func TestAdmissionLogsTheRequestIDButNoContent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var out strings.Builder
	r.role.log = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.member(7, 1)
	m := up(func(m *repopb.NewMessage) { m.Content = "a secret text" })
	if err := r.lane.handler(t.Context(), []bus.Record{{Key: 7, Message: m}}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.SendMessage(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if log := out.String(); strings.Count(log, "request_id=r1") != 2 || strings.Contains(log, "secret") {
		t.Fatalf("log %q", log)
	}
}

// takenBus takes everything at no cost.
type takenBus struct{ bus.Bus }

func (takenBus) Publish(context.Context, string, ...bus.Record) error { return nil }

// fixedSenders answers with members at no cost.
type fixedSenders struct {
	repopb.RepoServiceServer
	resp *repopb.CheckSendersResponse
}

func (f fixedSenders) CheckSenders(context.Context, *repopb.CheckSendersRequest) (*repopb.CheckSendersResponse, error) {
	return f.resp, nil
}

func BenchmarkAdmitBatch(b *testing.B) {
	const n = 100
	resp := &repopb.CheckSendersResponse{}
	var batch []bus.Record
	for i := range n {
		resp.Senders = append(resp.Senders, &repopb.SenderState{Member: true, Active: true})
		batch = append(batch, bus.Record{Key: 7, Message: up(func(m *repopb.NewMessage) { m.ClientMsgId = strconv.Itoa(i) })})
	}
	s := &Service{
		cfg: DefaultConfig(), repo: fixedSenders{resp: resp}, bus: takenBus{}, log: slog.New(slog.DiscardHandler), metrics: newMetrics(nil), now: time.Now,
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.admitBatch(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/message")
}
