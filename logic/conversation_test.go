package logic

import (
	"testing"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

func single(id, peer int64) *repopb.ConversationView {
	return &repopb.ConversationView{
		Conversation: &repopb.Conversation{Id: id, Type: repopb.ConversationType_CONVERSATION_TYPE_SINGLE}, PeerId: peer,
	}
}

func groupView(id int64) *repopb.ConversationView {
	return &repopb.ConversationView{
		Conversation: &repopb.Conversation{Id: id, Type: repopb.ConversationType_CONVERSATION_TYPE_GROUP, Name: "team", Avatar: "t.png"},
	}
}

func TestConversationsAreNamedByThePeer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	bob := r.store.addUser(2, "bob")
	bob.Nickname, bob.Avatar = "Bobby", "b.png"
	r.store.addUser(3, "carol")
	r.store.views = []*repopb.ConversationView{single(7, 2), groupView(8), single(9, 3), single(10, 404)}
	page, err := r.GetConversations(t.Context(), &repopb.GetConversationsRequest{UserId: 1})
	must(t, page, err)
	for i, want := range []string{"Bobby b.png", "team t.png", "carol ", " "} {
		c := page.GetConversations()[i].GetConversation()
		if got := c.GetName() + " " + c.GetAvatar(); got != want {
			t.Errorf("%d: %q, want %q", i, got, want)
		}
	}
	if r.store.views[0].GetConversation().GetName() != "" {
		t.Fatal("a shared view was changed")
	}
	if q := last[*repopb.GetConversationsRequest](t, r.store); q.GetLimit() != 50 {
		t.Fatalf("limit %d", q.GetLimit())
	}
	_, err = r.GetConversations(t.Context(), &repopb.GetConversationsRequest{UserId: 1, Limit: -5})
	wantCode(t, err, errs.Invalid)
	view, err := r.GetConversation(t.Context(), &repopb.GetConversationRequest{ConversationId: 7, UserId: 1})
	if must(t, view, err).GetConversation().GetName() != "Bobby" {
		t.Fatalf("view %v", view)
	}
}

func TestCreateConversation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.addUser(1, "alice")
	r.store.addUser(2, "bob")
	r.store.addUser(3, "banned").Status = repopb.UserStatus_USER_STATUS_DISABLED
	r.store.views = []*repopb.ConversationView{single(7, 2)}
	resp, err := r.CreateConversation(t.Context(), &logicpb.CreateConversationRequest{UserId: 1, PeerId: 2})
	if must(t, resp, err); !resp.GetCreated() || resp.GetConversation().GetConversation().GetName() != "bob" {
		t.Fatalf("answer %v", resp)
	}
	for peer, code := range map[int64]errs.Code{1: errs.Invalid, 3: errs.NotFound, 404: errs.NotFound} {
		_, err := r.CreateConversation(t.Context(), &logicpb.CreateConversationRequest{UserId: 1, PeerId: peer})
		wantCode(t, err, code)
	}
}

func TestUpdateConversation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.addUser(2, "bob")
	r.store.views = []*repopb.ConversationView{single(7, 2)}
	for field, bad := range map[string]*logicpb.UpdateConversationRequest{
		"name": {Name: new("mine"), Muted: new(true)}, "avatar": {Avatar: new("a.png")},
	} {
		bad.ConversationId, bad.UserId = 7, 1
		_, err := r.UpdateConversation(t.Context(), bad)
		if e := wantCode(t, err, errs.Invalid); e.Details["field"] != field {
			t.Errorf("details %v", e.Details)
		}
	}
	view, err := r.UpdateConversation(t.Context(), &logicpb.UpdateConversationRequest{ConversationId: 7, UserId: 1, Muted: new(true)})
	must(t, view, err)
	if q := last[*repopb.UpdateConversationRequest](t, r.store); !q.GetMuted() || q.Pinned != nil {
		t.Fatalf("asked %v", q)
	}

	r.store.views = []*repopb.ConversationView{groupView(8)}
	r.store.change = &repopb.GroupChange{Event: &repopb.Event{ConversationId: 8, Seq: 4}, Group: &repopb.Group{Id: 8}}
	view, err = r.UpdateConversation(t.Context(), &logicpb.UpdateConversationRequest{ConversationId: 8, UserId: 1, Name: new("new")})
	must(t, view, err)
	if q := last[*repopb.UpdateGroupRequest](t, r.store); q.GetGroupId() != 8 || q.GetActorId() != 1 || q.GetName() != "new" || q.Avatar != nil {
		t.Fatalf("asked %v", q)
	}
	if len(r.lane.persist(t)) != 1 {
		t.Fatal("the change was not announced")
	}
	_, err = r.UpdateConversation(t.Context(), &logicpb.UpdateConversationRequest{ConversationId: 8, UserId: 1, Name: new(" ")})
	wantCode(t, err, errs.Invalid)
	r.store.err = errs.New(errs.NotFound, "no such conversation")
	_, err = r.UpdateConversation(t.Context(), &logicpb.UpdateConversationRequest{ConversationId: 8, UserId: 9, Pinned: new(true)})
	wantCode(t, err, errs.NotFound)
}
