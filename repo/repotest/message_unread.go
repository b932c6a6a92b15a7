package repotest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gochat-im/gochat/repo/repopb"
)

// unreadModel is one conversation as a naive reader would count it: the sender of each entry, 0 for what is no message.
type unreadModel struct {
	senders []int64
	read    map[int64]int64
}

func (m *unreadModel) unread(user int64) (n int64) {
	for i, sender := range m.senders {
		if int64(i+1) > m.read[user] && sender != 0 && sender != user {
			n++
		}
	}
	return n
}

// testUnreadModel does random things in several conversations and compares every count with a naive one.
func testUnreadModel(t *testing.T, f *messageFixture) {
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, seed))
	users := f.users(t, 4)
	models := map[int64]*unreadModel{}
	var ids []int64
	add := func(id int64) {
		m := &unreadModel{read: map[int64]int64{}}
		for range f.log(t, id) {
			m.senders = append(m.senders, 0)
		}
		for _, u := range users {
			m.read[u] = int64(len(m.senders))
		}
		models[id] = m
		ids = append(ids, id)
	}
	c, err := f.CreateConversation(t.Context(), &repopb.CreateConversationRequest{UserId: users[0], PeerId: users[1]})
	if err != nil {
		t.Fatal(err)
	}
	single := c.GetConversation().GetConversation().GetId()
	add(single)
	group := f.newGroup(t, users[0], users[1:]...).GetId()
	add(group)
	in := func(id int64) []int64 {
		if id == single {
			return users[:2]
		}
		return users
	}
	for step := range 400 {
		id := ids[rng.IntN(len(ids))]
		m, members := models[id], in(id)
		user := members[rng.IntN(len(members))]
		switch rng.IntN(6) {
		case 0, 1:
			f.send(t, id, user, fmt.Sprint(seed, "-", step))
			m.senders = append(m.senders, user)
		case 2:
			seq := rng.Int64N(int64(len(m.senders)) + 2)
			f.point(t, id, user, seq, statusRead)
			m.read[user] = max(m.read[user], min(seq, int64(len(m.senders))))
		case 3: // edits and recalls are no messages, and what is recalled counts on
			seq := rng.Int64N(int64(len(m.senders))+1) + 1
			if seq > int64(len(m.senders)) || m.senders[seq-1] == 0 {
				continue
			}
			if _, err := f.EditMessage(t.Context(), &repopb.EditMessageRequest{ConversationId: id, Seq: seq, ActorId: m.senders[seq-1], Content: "edited"}); err == nil {
				m.senders = append(m.senders, 0)
			}
			if step%3 == 0 {
				_, err := f.UpdateMessageStatus(t.Context(), &repopb.UpdateMessageStatusRequest{ConversationId: id, Seq: seq, ActorId: m.senders[seq-1], Status: statusRecalled})
				if err == nil {
					m.senders = append(m.senders, 0)
				}
			}
		case 4: // who comes back has read everything
			if id != group || user == users[0] {
				continue
			}
			f.remove(t, group, user, user)
			if got := f.unread(t, user)[group]; got != 0 {
				t.Fatalf("step %d: %d unread in a group that was left", step, got)
			}
			f.add(t, group, user, user)
			m.senders = append(m.senders, 0, 0)
			m.read[user] = int64(len(m.senders))
		default:
			seq := int64(len(m.senders))
			f.point(t, id, user, seq, statusRead)
			m.read[user] = seq
		}
		for _, u := range members {
			if got, want := f.view(t, id, u).GetUnread(), m.unread(u); got != want {
				t.Fatalf("step %d: user %d has %d unread in %d, want %d", step, u, got, id, want)
			}
			if got, want := f.unread(t, u)[id], m.unread(u); got != want {
				t.Fatalf("step %d: user %d is told %d unread in %d, want %d", step, u, got, id, want)
			}
		}
	}
}

// testReadingFarBehind lets members who have sent much, little and nothing since what they read last read on in
// steps through a long log, and compares every count with a naive one.
func testReadingFarBehind(t *testing.T, f *messageFixture) {
	const seed, messages = 11, 90
	rng := rand.New(rand.NewPCG(seed, seed))
	users := f.users(t, 12)
	id := f.newGroup(t, users[0], users[1:]...).GetId()
	m := &unreadModel{read: map[int64]int64{}}
	for range f.log(t, id) {
		m.senders = append(m.senders, 0)
	}
	for _, u := range users {
		m.read[u] = int64(len(m.senders))
	}
	for i := range messages {
		sender := users[rng.IntN(rng.IntN(len(users))+1)] // the first send most
		f.send(t, id, sender, fmt.Sprint(seed, "-", i))
		m.senders = append(m.senders, sender)
	}
	for _, u := range users {
		for seq := m.read[u]; seq < int64(len(m.senders)); {
			seq += 1 + rng.Int64N(messages/4)
			f.point(t, id, u, seq, statusRead)
			m.read[u] = min(seq, int64(len(m.senders)))
			if got, want := f.view(t, id, u).GetUnread(), m.unread(u); got != want {
				t.Fatalf("user %d has %d unread of %d after %d, want %d", u, got, len(m.senders), seq, want)
			}
		}
	}
}

// unread returns a user's counts by conversation, checking their total.
func (f *messageFixture) unread(t testing.TB, user int64) map[int64]int64 {
	t.Helper()
	r, err := f.GetUnread(t.Context(), &repopb.GetUnreadRequest{UserId: user})
	if err != nil {
		t.Fatal(err)
	}
	counts, total := map[int64]int64{}, int64(0)
	for _, c := range r.GetConversations() {
		counts[c.GetConversationId()] = c.GetUnread()
		total += c.GetUnread()
		if c.GetUnread() <= 0 {
			t.Errorf("listed without unread: %v", c)
		}
	}
	if total != r.GetTotal() {
		t.Errorf("total %d, sum %d", r.GetTotal(), total)
	}
	return counts
}
