package task

import (
	"context"
	"fmt"
	"time"

	"github.com/gochat-im/gochat/gateway/gatewaypb"
	"github.com/gochat-im/gochat/repo/repopb"
)

// walkMembers calls visit with the ids of a group's members, page by page.
func walkMembers(ctx context.Context, repo repopb.RepoServiceServer, group int64, size int, timeout time.Duration, visit func(page []int64) error) error {
	req := &repopb.GetGroupMembersRequest{GroupId: group, Limit: int32(size)}
	for {
		call, cancel := context.WithTimeout(ctx, timeout)
		answer, err := repo.GetGroupMembers(call, req)
		cancel()
		if err != nil {
			return fmt.Errorf("get group members: %w", err)
		}
		if len(answer.Members) == 0 {
			return nil
		}
		page := make([]int64, len(answer.Members))
		for i, m := range answer.Members {
			page[i] = m.UserId
		}
		if err := visit(page); err != nil {
			return err
		}
		if !answer.HasMore {
			return nil
		}
		req = &repopb.GetGroupMembersRequest{GroupId: group, Limit: int32(size), AfterUserId: page[len(page)-1]}
	}
}

// onlineOf returns which of the users have a socket on some gateway.
func onlineOf(ctx context.Context, gateway gatewaypb.GatewayServiceServer, timeout time.Duration, users []int64) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	stats, err := gateway.Stats(ctx, &gatewaypb.StatsRequest{OnlineOf: users})
	if err != nil {
		return nil, fmt.Errorf("ask who is online: %w", err)
	}
	return stats.Online, nil
}
