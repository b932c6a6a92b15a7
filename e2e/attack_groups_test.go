package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
)

// atOnce runs what several do at the same moment and returns the statuses, in the order of the functions.
func atOnce(t testing.TB, calls ...func() int) []int {
	t.Helper()
	statuses := make([]int, len(calls))
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for i, call := range calls {
		wg.Go(func() {
			<-begin
			statuses[i] = call()
		})
	}
	close(begin)
	wg.Wait()
	return statuses
}

// later is a call whose status alone counts.
func (a *account) later(t testing.TB, method, path string, body any) func() int {
	return func() int {
		status, _ := a.try(t, method, path, body)
		return status
	}
}

func count(statuses []int, want int) int {
	n := 0
	for _, s := range statuses {
		if s == want {
			n++
		}
	}
	return n
}

// invariants hold of a group at every moment: one owner, who is the one of the card, a count that is the list's, and a
// log without holes.
func invariants(t testing.TB, as *account, g string) (owner string, members []string) {
	t.Helper()
	card := as.must(t, http.MethodGet, "/api/v1/groups/"+g, http.StatusOK, nil)
	owners := 0
	for cursor := ""; ; {
		page := as.must(t, http.MethodGet, "/api/v1/groups/"+g+"/members?limit=100&cursor="+cursor, http.StatusOK, nil)
		list, _ := page["members"].([]any)
		for _, m := range list {
			if str(m, "role") == "owner" {
				owner = str(m, "user_id")
				owners++
			}
			members = append(members, str(m, "user_id"))
		}
		if cursor = str(page, "next_cursor"); cursor == "" {
			break
		}
	}
	if owners != 1 || owner != str(card, "group", "owner_id") {
		t.Errorf("%d owners, the last %s; the card says %s", owners, owner, str(card, "group", "owner_id"))
	}
	if n := num(card, "group", "member_count"); n != int64(len(members)) || n > num(card, "group", "max_members") {
		t.Errorf("%d members listed, %d counted, %d allowed", len(members), n, num(card, "group", "max_members"))
	}
	last := int64(0)
	for {
		page := history(t, as, fmt.Sprintf("conversation_id=%s&include=all&limit=100&after_seq=%d", g, last))
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			if last++; num(e, "seq") != last {
				t.Fatalf("seq %d where %d was due", num(e, "seq"), last)
			}
		}
	}
	return owner, members
}

// However many change a group at the same moment, it stays whole.
func TestGroupRaces(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	owner := register(t, s, "owner")
	users := make([]*account, 8)
	for i := range users {
		users[i] = register(t, s, fmt.Sprint("user", i))
	}
	const rounds = 8

	t.Run("two transfers", func(t *testing.T) {
		t.Parallel()
		for range rounds {
			g := group(t, owner, nil, users[0], users[1])
			path := "/api/v1/groups/" + g
			statuses := atOnce(t,
				owner.later(t, http.MethodPost, path+"/transfer", map[string]any{"user_id": users[0].id}),
				owner.later(t, http.MethodPost, path+"/transfer", map[string]any{"user_id": users[1].id}))
			if count(statuses, http.StatusNoContent) != 1 {
				t.Errorf("two transfers: %v", statuses)
			}
			invariants(t, owner, g)
		}
	})
	t.Run("transfer and leave of the next owner", func(t *testing.T) {
		t.Parallel()
		for range rounds {
			g := group(t, owner, nil, users[0], users[1])
			path := "/api/v1/groups/" + g
			atOnce(t,
				owner.later(t, http.MethodPost, path+"/transfer", map[string]any{"user_id": users[0].id}),
				users[0].later(t, http.MethodPost, path+"/leave", nil),
				owner.later(t, http.MethodDelete, path+"/members/"+users[0].id, nil))
			invariants(t, owner, g)
		}
	})
	t.Run("owner transfers and leaves", func(t *testing.T) {
		t.Parallel()
		for range rounds {
			g := group(t, owner, nil, users[0], users[1])
			path := "/api/v1/groups/" + g
			atOnce(t,
				owner.later(t, http.MethodPost, path+"/transfer", map[string]any{"user_id": users[0].id}),
				owner.later(t, http.MethodPost, path+"/leave", nil),
				owner.later(t, http.MethodPost, path+"/leave", nil))
			invariants(t, users[1], g)
		}
	})
	t.Run("promotion and removal by the promoted", func(t *testing.T) {
		t.Parallel()
		for range rounds {
			g := group(t, owner, nil, users[0], users[1])
			path := "/api/v1/groups/" + g
			statuses := atOnce(t,
				owner.later(t, http.MethodPut, path+"/members/"+users[0].id, map[string]any{"role": "admin"}),
				users[0].later(t, http.MethodDelete, path+"/members/"+owner.id, nil),
				users[0].later(t, http.MethodPut, path+"/members/"+users[1].id, map[string]any{"role": "admin"}))
			if statuses[1] != http.StatusForbidden || statuses[2] != http.StatusForbidden {
				t.Errorf("an admin against the owner: %v", statuses)
			}
			if is, _ := invariants(t, users[1], g); is != owner.id {
				t.Errorf("the owner is %s", is)
			}
		}
	})
	t.Run("joins of a group that fills up", func(t *testing.T) {
		t.Parallel()
		for range rounds {
			g := group(t, owner, map[string]any{"max_members": 4})
			var calls []func() int
			for i, u := range users {
				if i%2 == 0 {
					calls = append(calls, u.later(t, http.MethodPost, "/api/v1/groups/"+g+"/join", nil))
				} else {
					calls = append(calls, owner.later(t, http.MethodPost, "/api/v1/groups/"+g+"/members", map[string]any{"user_ids": []string{u.id}}))
				}
			}
			statuses := atOnce(t, calls...)
			if in := count(statuses, http.StatusNoContent) + count(statuses, http.StatusOK); in != 3 || count(statuses, http.StatusConflict) != len(users)-3 {
				t.Errorf("joins of three places: %v", statuses)
			}
			invariants(t, owner, g)
		}
	})
	t.Run("the same one many times", func(t *testing.T) {
		t.Parallel()
		for range rounds {
			g := group(t, owner, nil)
			statuses := atOnce(t, slices.Repeat([]func() int{users[0].later(t, http.MethodPost, "/api/v1/groups/"+g+"/join", nil)}, 6)...)
			if count(statuses, http.StatusNoContent) != 1 || count(statuses, http.StatusConflict) != 5 {
				t.Errorf("six joins: %v", statuses)
			}
			if _, members := invariants(t, owner, g); len(members) != 2 {
				t.Errorf("members: %v", members)
			}
		}
	})
	t.Run("one request decided twice", func(t *testing.T) {
		t.Parallel()
		for range rounds {
			g := group(t, owner, map[string]any{"join_policy": "approval"})
			users[0].must(t, http.MethodPost, "/api/v1/groups/"+g+"/join", http.StatusAccepted, nil)
			path := "/api/v1/groups/" + g + "/requests/" + users[0].id
			statuses := atOnce(t, owner.later(t, http.MethodPost, path, map[string]any{"approve": true}), owner.later(t, http.MethodPost, path, map[string]any{"approve": false}))
			if count(statuses, http.StatusNoContent) != 1 || count(statuses, http.StatusNotFound) != 1 {
				t.Errorf("two decisions: %v", statuses)
			}
			_, members := invariants(t, owner, g)
			if in := slices.Contains(members, users[0].id); in != (statuses[0] == http.StatusNoContent) {
				t.Errorf("decided %v, and is a member: %v", statuses, in)
			}
		}
	})
	t.Run("joins and messages while it is dissolved", func(t *testing.T) {
		t.Parallel()
		for range rounds {
			g := group(t, owner, nil, users[0])
			calls := []func() int{owner.later(t, http.MethodDelete, "/api/v1/groups/"+g, nil)}
			for _, u := range users[1:] {
				calls = append(calls, u.later(t, http.MethodPost, "/api/v1/groups/"+g+"/join", nil))
			}
			send := users[0].later(t, http.MethodPost, "/api/v1/messages/send", map[string]any{"conversation_id": g, "content": "x", "message_type": "text"})
			calls = append(calls, send, send, send)
			if statuses := atOnce(t, calls...); statuses[0] != http.StatusNoContent || count(statuses, http.StatusInternalServerError) != 0 {
				t.Errorf("dissolving: %v", statuses)
			}
			for _, u := range append(users[:2:2], owner) {
				if status := send(); status != http.StatusConflict && status != http.StatusNotFound {
					t.Errorf("a message to a dissolved group: %d", status)
				}
				if status := u.later(t, http.MethodPost, "/api/v1/groups/"+g+"/join", nil)(); status != http.StatusConflict && status != http.StatusNotFound {
					t.Errorf("joining a dissolved group: %d", status)
				}
			}
		}
	})
	t.Run("messages while their sender is removed", func(t *testing.T) {
		t.Parallel()
		for range rounds {
			g := group(t, owner, nil, users[0], users[1])
			send := users[0].later(t, http.MethodPost, "/api/v1/messages/send", map[string]any{"conversation_id": g, "content": "x", "message_type": "text"})
			statuses := atOnce(t, owner.later(t, http.MethodDelete, "/api/v1/groups/"+g+"/members/"+users[0].id, nil), send, send, send, send)
			if statuses[0] != http.StatusNoContent || count(statuses, http.StatusNotFound)+count(statuses, http.StatusOK) != 4 {
				t.Errorf("removing a sender: %v", statuses)
			}
			if status := send(); status != http.StatusNotFound {
				t.Errorf("a message of who was removed: %d", status)
			}
			removed := false
			for _, e := range history(t, owner, "conversation_id="+g+"&include=all&after_seq=0&limit=100") {
				if str(e, "kind") == "member_removed" {
					removed = true
				} else if removed && str(e, "from_user_id") == users[0].id {
					t.Errorf("a message of who was removed is stored after the removal: %v", e)
				}
			}
			invariants(t, owner, g)
		}
	})
	t.Run("one pair opens its chat at once", func(t *testing.T) {
		t.Parallel()
		for i := range users {
			a, b := users[i], users[(i+1)%len(users)]
			ids := make([]string, 6)
			var calls []func() int
			for j := range ids {
				who, peer := a, b
				if j%2 == 1 {
					who, peer = b, a
				}
				calls = append(calls, func() int {
					status, answer := who.try(t, http.MethodPost, "/api/v1/conversations/create", map[string]any{"type": "single", "peer_user_id": peer.id})
					ids[j] = str(answer, "conversation", "id")
					return status
				})
			}
			statuses := atOnce(t, calls...)
			if distinct := slices.Compact(slices.Sorted(slices.Values(ids))); len(distinct) != 1 || distinct[0] == "" || count(statuses, http.StatusCreated) != 1 {
				t.Errorf("one pair has %v by %v", distinct, statuses)
			}
		}
	})
}
