package repotest

import (
	"fmt"
	"testing"
	"time"

	"github.com/gochat-im/gochat/repo/repopb"
)

func testOutbox(t *testing.T, f *jobFixture) {
	u := f.users(t, 2)
	a, b := f.newGroup(t, u[0], u[1]).GetId(), f.newGroup(t, u[0]).GetId()
	say := func(key string, outbox bool, groups ...int64) int64 {
		r := &repopb.CreateMessagesRequest{PushOutbox: outbox}
		for i, g := range groups {
			r.Messages = append(r.Messages, &repopb.NewMessage{
				ConversationId: g, SenderId: u[0], ClientMsgId: fmt.Sprint(key, i), Content: "x", MessageType: "text",
			})
		}
		created, err := f.CreateMessages(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return created.GetOutboxId()
	}
	list := func(before int64, limit int32) []*repopb.OutboxEntry {
		r, err := f.ListOutbox(t.Context(), &repopb.ListOutboxRequest{Before: before, Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetEntries()
	}
	if id := say("silent", false, a); id != 0 {
		t.Errorf("outbox entry %d without being asked", id)
	}
	first, second := say("one", true, a, b, a), say("two", true, b)
	later := time.Now().Add(time.Hour).UnixMilli()
	entries := list(later, 10)
	if len(entries) != 2 || entries[0].GetId() != first || entries[1].GetId() != second {
		t.Fatalf("outbox: %v", entries)
	}
	ranges := map[int64][2]int64{}
	for _, r := range entries[0].GetRanges() {
		ranges[r.GetConversationId()] = [2]int64{r.GetFromSeq(), r.GetToSeq()}
	}
	if len(ranges) != 2 || ranges[a] != [2]int64{3, 4} || ranges[b] != [2]int64{2, 2} {
		t.Errorf("ranges: %v", ranges)
	}
	if got := list(later, 1); len(got) != 1 || got[0].GetId() != first {
		t.Errorf("limited: %v", got)
	}
	if got := list(1000, 10); len(got) != 0 {
		t.Errorf("before the beginning: %v", got)
	}
	for range 2 { // retry-safe
		_, err := f.CreateJobs(t.Context(), &repopb.CreateJobsRequest{Jobs: []*repopb.Job{{Kind: "push", Key: "k"}}, DoneOutboxId: first})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := list(later, 10); len(got) != 1 || got[0].GetId() != second {
		t.Errorf("after the first was done: %v", got)
	}
	if pending, _ := f.counts(t); pending != 1 {
		t.Errorf("%d jobs", pending)
	}
}
