package logic

import (
	"context"
	"testing"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/repo/repopb"
)

// A caller that hangs up when a change is committed, such as a browser whose tab closes, takes nothing from the others:
// they are told as ever.
func TestChangesOfACallerThatHangsUp(t *testing.T) {
	t.Parallel()
	const recall = repopb.EventKind_EVENT_KIND_RECALL
	for name, c := range map[string]struct {
		live bool // told to sockets directly, not down the lane
		do   func(ctx context.Context, r *rig) error
	}{
		"read": {true, func(ctx context.Context, r *rig) error {
			r.store.status = &repopb.UpdateMessageStatusResponse{Moved: true, Seq: 3}
			_, err := r.MarkMessageRead(ctx, &logicpb.MarkMessageReadRequest{UserId: 1, ConversationId: 7, Seq: 3})
			return err
		}},
		"hide": {true, func(ctx context.Context, r *rig) error {
			_, err := r.RecallMessage(ctx, &logicpb.RecallMessageRequest{ActorId: 1, ConversationId: 7, Seq: 3, OnlySelf: true})
			return err
		}},
		"edit": {false, func(ctx context.Context, r *rig) error {
			_, err := r.EditMessage(ctx, &logicpb.EditMessageRequest{ActorId: 1, ConversationId: 7, Seq: 3, Content: "better"})
			return err
		}},
		"recall": {false, func(ctx context.Context, r *rig) error {
			r.store.status = &repopb.UpdateMessageStatusResponse{Event: &repopb.Event{ConversationId: 7, Seq: 4, Kind: recall, TargetSeq: 3}}
			_, err := r.RecallMessage(ctx, &logicpb.RecallMessageRequest{ActorId: 1, ConversationId: 7, Seq: 3})
			return err
		}},
		"create": {false, func(ctx context.Context, r *rig) error {
			_, err := r.CreateGroup(ctx, &repopb.CreateGroupRequest{Group: &repopb.Group{Name: "team", OwnerId: 1}})
			return err
		}},
		"update": {false, func(ctx context.Context, r *rig) error {
			_, err := r.UpdateGroup(ctx, &repopb.UpdateGroupRequest{GroupId: 8, ActorId: 1, Name: new("team")})
			return err
		}},
		"add": {false, func(ctx context.Context, r *rig) error {
			_, err := r.AddGroupMember(ctx, &repopb.AddGroupMemberRequest{GroupId: 8, ActorId: 1, UserIds: []int64{2}})
			return err
		}},
		"mute": {false, func(ctx context.Context, r *rig) error {
			_, err := r.UpdateGroupMember(ctx, &repopb.UpdateGroupMemberRequest{GroupId: 8, ActorId: 1, UserId: 2, MutedUntil: new(int64(1))})
			return err
		}},
		"transfer": {false, func(ctx context.Context, r *rig) error {
			_, err := r.TransferGroup(ctx, &repopb.TransferGroupRequest{GroupId: 8, ActorId: 1, UserId: 2})
			return err
		}},
		"dissolve": {false, func(ctx context.Context, r *rig) error {
			_, err := r.DissolveGroup(ctx, &repopb.DissolveGroupRequest{GroupId: 8, ActorId: 1})
			return err
		}},
		"approve": {false, func(ctx context.Context, r *rig) error {
			_, err := r.DecideJoinRequest(ctx, &repopb.DecideJoinRequestRequest{GroupId: 8, ActorId: 1, UserId: 2, Approve: true})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newGroupRig(t)
			ctx, cancel := context.WithCancel(t.Context())
			r.store.onChange = cancel
			if err := c.do(ctx, r); err != nil {
				t.Fatal(err)
			}
			if ctx.Err() == nil {
				t.Fatal("the store was not asked")
			}
			events, live := len(r.lane.persist(t)), len(r.hub.deliveries)
			if c.live && live != 1 || !c.live && events != 1 {
				t.Errorf("%d events announced, %d told to sockets", events, live)
			}
		})
	}
}
