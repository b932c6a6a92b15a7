package logic

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

func TestHistoryLimits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for limit, want := range map[int32]int32{0: 50, 1: 1, 100: 100, 1 << 30: 100} {
		_, err := r.GetMessageHistory(t.Context(), &repopb.GetMessagesRequest{ConversationId: 7, UserId: 1, Limit: limit, AfterSet: true, IncludeAll: true})
		if err != nil {
			t.Fatal(err)
		}
		if q := last[*repopb.GetMessagesRequest](t, r.store); q.GetLimit() != want || !q.GetAfterSet() || !q.GetIncludeAll() || q.GetUserId() != 1 {
			t.Errorf("limit %d: asked %v", limit, q)
		}
	}
	for _, bad := range []*repopb.GetMessagesRequest{{UserId: 1, Limit: -1}, {UserId: 1, BeforeSeq: -1}, {UserId: 1, AfterSeq: -1, AfterSet: true}} {
		_, err := r.GetMessageHistory(t.Context(), bad)
		wantCode(t, err, errs.Invalid)
	}
	// User 0 is the server itself to repo: nobody passes for it.
	_, err := r.GetMessageHistory(t.Context(), &repopb.GetMessagesRequest{ConversationId: 7})
	wantCode(t, err, errs.Unauthorized)
}

func TestMarkRead(t *testing.T) {
	t.Parallel()
	origin := &gatewaypb.Origin{GatewayId: "g", ConnectionId: 3}
	for name, c := range map[string]struct {
		status *repopb.UpdateMessageStatusResponse
		told   []int64
	}{
		"single":    {&repopb.UpdateMessageStatusResponse{Moved: true, Seq: 5, PeerId: 2, Type: repopb.ConversationType_CONVERSATION_TYPE_SINGLE}, []int64{1, 2}},
		"group":     {&repopb.UpdateMessageStatusResponse{Moved: true, Seq: 5, Type: repopb.ConversationType_CONVERSATION_TYPE_GROUP}, []int64{1}},
		"not moved": {&repopb.UpdateMessageStatusResponse{Seq: 8, PeerId: 2}, nil},
	} {
		r := newRig(t)
		r.store.status = c.status
		_, err := r.MarkMessageRead(t.Context(), &logicpb.MarkMessageReadRequest{UserId: 1, ConversationId: 7, Seq: 99, Origin: origin})
		if err != nil {
			t.Fatal(err)
		}
		if c.told == nil {
			if len(r.hub.deliveries) != 0 {
				t.Errorf("%s: told %v", name, r.hub.deliveries)
			}
			continue
		}
		if len(r.hub.deliveries) != 1 {
			t.Fatalf("%s: %d deliveries", name, len(r.hub.deliveries))
		}
		d := r.hub.deliveries[0]
		if !slices.Equal(d.GetUserIds(), c.told) || d.GetRead().GetSeq() != 5 || d.GetRead().GetUserId() != 1 || !proto.Equal(d.GetExcept(), origin) {
			t.Errorf("%s: told %v", name, d)
		}
	}
	r := newRig(t)
	_, err := r.MarkMessageRead(t.Context(), &logicpb.MarkMessageReadRequest{UserId: 1, ConversationId: 7, Seq: -1})
	wantCode(t, err, errs.Invalid)
	r.store.err = errs.New(errs.NotFound, "no such conversation")
	_, err = r.MarkMessageRead(t.Context(), &logicpb.MarkMessageReadRequest{UserId: 1, ConversationId: 7, Seq: 1})
	wantCode(t, err, errs.NotFound)
}

func TestEdit(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.EditWindow = time.Hour })
	event, err := r.EditMessage(t.Context(), &logicpb.EditMessageRequest{ActorId: 1, ConversationId: 7, Seq: 3, Content: "better"})
	must(t, event, err)
	if q := last[*repopb.EditMessageRequest](t, r.store); q.GetNotBefore() != r.time().Add(-time.Hour).UnixMilli() || q.GetActorId() != 1 {
		t.Fatalf("asked %v", q)
	}
	if p := r.lane.persist(t); len(p) != 1 || !proto.Equal(p[0].GetCommitted().GetEvent(), event) {
		t.Fatalf("published %v", p)
	}
	for content, code := range map[string]errs.Code{"": errs.Invalid, "a\x00": errs.Invalid, "\xff": errs.Invalid, strings.Repeat("a", 16<<10+1): errs.TooLarge} {
		_, err := r.EditMessage(t.Context(), &logicpb.EditMessageRequest{ActorId: 1, ConversationId: 7, Seq: 3, Content: content})
		wantCode(t, err, code)
	}
	// The change is made: a bus that refuses costs a pull, not an error.
	r.lane.err = errs.New(errs.Unavailable, "stopping")
	if _, err := r.EditMessage(t.Context(), &logicpb.EditMessageRequest{ActorId: 1, ConversationId: 7, Seq: 3, Content: "best"}); err != nil {
		t.Fatal(err)
	}
	unlimited := newRig(t, func(c *Config) { c.EditWindow = 0 })
	if _, err := unlimited.EditMessage(t.Context(), &logicpb.EditMessageRequest{ActorId: 1, ConversationId: 7, Seq: 3, Content: "x"}); err != nil {
		t.Fatal(err)
	}
	if q := last[*repopb.EditMessageRequest](t, unlimited.store); q.GetNotBefore() != 0 {
		t.Fatalf("asked %v", q)
	}
}

func TestRecall(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.RecallWindow = 2 * time.Minute })
	r.store.status = &repopb.UpdateMessageStatusResponse{Event: &repopb.Event{ConversationId: 7, Seq: 4, Kind: repopb.EventKind_EVENT_KIND_RECALL, TargetSeq: 3}}
	event, err := r.RecallMessage(t.Context(), &logicpb.RecallMessageRequest{ActorId: 1, ConversationId: 7, Seq: 3})
	must(t, event, err)
	q := last[*repopb.UpdateMessageStatusRequest](t, r.store)
	if q.GetStatus() != repopb.MessageStatus_MESSAGE_STATUS_RECALLED || q.GetNotBefore() != r.time().Add(-2*time.Minute).UnixMilli() {
		t.Fatalf("asked %v", q)
	}
	if p := r.lane.persist(t); len(p) != 1 || p[0].GetCommitted().GetEvent().GetSeq() != 4 {
		t.Fatalf("published %v", p)
	}
	r.store.err = errs.New(errs.Forbidden, "not yours")
	_, err = r.RecallMessage(t.Context(), &logicpb.RecallMessageRequest{ActorId: 1, ConversationId: 7, Seq: 3})
	wantCode(t, err, errs.Forbidden)
	if p := r.lane.persist(t); len(p) != 1 {
		t.Fatal("a refused recall was announced")
	}
}

func TestRecallForOneself(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.RecallMessage(t.Context(), &logicpb.RecallMessageRequest{ActorId: 1, ConversationId: 7, Seq: 3, OnlySelf: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.hub.deliveries) != 1 || !slices.Equal(r.hub.deliveries[0].GetUserIds(), []int64{1}) || r.hub.deliveries[0].GetHidden().GetSeq() != 3 {
		t.Fatalf("told %v", r.hub.deliveries)
	}
	if len(r.lane.persist(t)) != 0 {
		t.Fatal("others were told")
	}
	r.store.err = errs.New(errs.NotFound, "no such message")
	_, err = r.RecallMessage(t.Context(), &logicpb.RecallMessageRequest{ActorId: 1, ConversationId: 7, Seq: 9, OnlySelf: true})
	wantCode(t, err, errs.NotFound)
}

func TestSyncLimitsAreLogics(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.Sync(t.Context(), &repopb.GetChangesRequest{UserId: 1, Since: 5, MaxEvents: 1 << 30, MaxPerConversation: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	if q := last[*repopb.GetChangesRequest](t, r.store); q.GetMaxEvents() != 500 || q.GetMaxPerConversation() != 1000 || q.GetSince() != 5 {
		t.Fatalf("asked %v", q)
	}
	for _, bad := range []*repopb.GetChangesRequest{{Since: -1}, {Have: map[int64]int64{7: -1}}, {Have: map[int64]int64{0: 1}}, {Have: map[int64]int64{-7: 1}}} {
		_, err := r.Sync(t.Context(), bad)
		wantCode(t, err, errs.Invalid)
	}
}

func TestTyping(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(7, 1)
	route := &repopb.Route{ConversationId: 7, MemberIds: []int64{1, 2, 3}}
	r.store.routes = []*repopb.Route{route}
	origin := &gatewaypb.Origin{ConnectionId: 3}
	typing := func(user int64) error {
		_, err := r.SetTyping(t.Context(), &logicpb.SetTypingRequest{UserId: user, ConversationId: 7, Origin: origin})
		return err
	}
	if err := typing(1); err != nil {
		t.Fatal(err)
	}
	d := r.hub.deliveries[0]
	if !slices.Equal(d.GetUserIds(), []int64{2, 3}) || d.GetInterested() || d.GetTyping().GetUserId() != 1 || !proto.Equal(d.GetExcept(), origin) {
		t.Fatalf("told %v", d)
	}
	if !slices.Equal(route.GetMemberIds(), []int64{1, 2, 3}) {
		t.Fatal("the shared route was changed")
	}
	r.store.routes = []*repopb.Route{{ConversationId: 7, Large: true}}
	if err := typing(1); err != nil {
		t.Fatal(err)
	}
	if d := r.hub.deliveries[1]; !d.GetInterested() || len(d.GetUserIds()) != 0 {
		t.Fatalf("told %v", d)
	}
	wantCode(t, typing(9), errs.NotFound)
	r.member(7, 1, func(s *repopb.SenderState) { s.MutedUntil = r.time().Add(time.Hour).UnixMilli() })
	wantCode(t, typing(1), errs.Forbidden)
	if len(r.hub.deliveries) != 2 {
		t.Fatal("a refused typing was delivered")
	}
}

func TestConfirmDeliveryTellsTheSenders(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	asked := &repopb.MarkDeliveredRequest{Pointers: []*repopb.DeliveredPointer{{ConversationId: 8, UserId: 2, Seq: 5}, {ConversationId: 9, UserId: 2, Seq: 1}}}
	answer, err := r.ConfirmDelivery(t.Context(), asked)
	must(t, answer, err)
	if len(r.hub.deliveries) != 0 {
		t.Fatalf("nothing moved, and %v was told", r.hub.deliveries)
	}
	r.store.moved = []*repopb.DeliveredPointer{{ConversationId: 8, UserId: 2, Seq: 5, PeerId: 1}}
	answer, err = r.ConfirmDelivery(t.Context(), asked)
	must(t, answer, err)
	if len(r.hub.deliveries) != 1 || r.hub.deliveries[0].GetDelivered().GetSeq() != 5 || !slices.Equal(r.hub.deliveries[0].GetUserIds(), []int64{1}) {
		t.Fatalf("told %v", r.hub.deliveries)
	}
	_, err = r.ConfirmDelivery(t.Context(), &repopb.MarkDeliveredRequest{Pointers: make([]*repopb.DeliveredPointer, maxConfirmed+1)})
	wantCode(t, err, errs.Invalid)
}
