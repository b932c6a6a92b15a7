package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

func TestGroupLife(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	owner, admin, member, outsider := register(t, s, "owner"), register(t, s, "admin"), register(t, s, "member"), register(t, s, "outsider")
	g := group(t, owner, nil, admin, member)
	path := "/api/v1/groups/" + g
	card := owner.must(t, http.MethodGet, path, http.StatusOK, nil)
	if num(card, "group", "member_count") != 3 || str(card, "group", "my_role") != "owner" || num(card, "group", "max_members") != 200 || str(card, "group", "conversation_id") != g {
		t.Errorf("group: %v", card)
	}
	owner.must(t, http.MethodPut, path+"/members/"+admin.id, http.StatusOK, map[string]any{"role": "admin"})

	// Who may do what: the least that a group must refuse.
	for name, c := range map[string]struct {
		who          *account
		method, path string
		body         map[string]any
		status       int
	}{
		"member renames":         {member, http.MethodPut, path, map[string]any{"name": "x"}, http.StatusForbidden},
		"member removes":         {member, http.MethodDelete, path + "/members/" + admin.id, nil, http.StatusForbidden},
		"member adds":            {member, http.MethodPost, path + "/members", map[string]any{"user_ids": []string{outsider.id}}, http.StatusForbidden},
		"member dissolves":       {member, http.MethodDelete, path, nil, http.StatusForbidden},
		"member promotes itself": {member, http.MethodPut, path + "/members/" + member.id, map[string]any{"role": "admin"}, http.StatusForbidden},
		"admin removes owner":    {admin, http.MethodDelete, path + "/members/" + owner.id, nil, http.StatusForbidden},
		"admin dissolves":        {admin, http.MethodDelete, path, nil, http.StatusForbidden},
		"admin makes owner":      {admin, http.MethodPut, path + "/members/" + admin.id, map[string]any{"role": "owner"}, http.StatusBadRequest},
		"owner leaves":           {owner, http.MethodPost, path + "/leave", nil, http.StatusConflict},
		"outsider lists members": {outsider, http.MethodGet, path + "/members", nil, http.StatusNotFound},
		"outsider transfers":     {outsider, http.MethodPost, path + "/transfer", map[string]any{"user_id": outsider.id}, http.StatusNotFound},
		"owner by update":        {owner, http.MethodPut, path, map[string]any{"owner_id": member.id}, http.StatusBadRequest},
		"below the count":        {owner, http.MethodPut, path, map[string]any{"max_members": 2}, http.StatusConflict},
		"no such user":           {owner, http.MethodPost, path + "/members", map[string]any{"user_ids": []string{"12345"}}, http.StatusBadRequest},
		"no such group":          {owner, http.MethodGet, "/api/v1/groups/12345", nil, http.StatusNotFound},
		"a group of no name":     {owner, http.MethodPost, "/api/v1/groups/create", map[string]any{"name": ""}, http.StatusBadRequest},
	} {
		if status, answer := c.who.try(t, c.method, c.path, c.body); status != c.status {
			t.Errorf("%s: %d %v, want %d", name, status, answer, c.status)
		}
	}

	// Mute: until a time, then no more.
	until := time.Now().Add(time.Hour).UTC().Format("2006-01-02T15:04:05.000Z")
	admin.must(t, http.MethodPut, path+"/members/"+member.id, http.StatusOK, map[string]any{"muted_until": until})
	if status, answer := member.try(t, http.MethodPost, "/api/v1/messages/send", map[string]any{"conversation_id": g, "content": "x", "message_type": "text"}); status != http.StatusForbidden {
		t.Errorf("a muted member sends: %d %v", status, answer)
	}
	admin.must(t, http.MethodPut, path+"/members/"+member.id, http.StatusOK, map[string]any{"muted_until": ""})
	member.say(t, g, "I can speak again")

	// Transfer, then the old owner may leave.
	owner.must(t, http.MethodPost, path+"/transfer", http.StatusNoContent, map[string]any{"user_id": member.id})
	owner.must(t, http.MethodPost, path+"/leave", http.StatusNoContent, nil)
	if status, _ := owner.try(t, http.MethodGet, "/api/v1/messages/history?conversation_id="+g, nil); status != http.StatusNotFound {
		t.Errorf("history after leaving: %d", status)
	}
	member.must(t, http.MethodDelete, path, http.StatusNoContent, nil)
	if status, answer := member.try(t, http.MethodPost, "/api/v1/messages/send", map[string]any{"conversation_id": g, "content": "x", "message_type": "text"}); status != http.StatusConflict {
		t.Errorf("a message after dissolving: %d %v", status, answer)
	}

	// Who is told nothing live, a new device for example, can tell from each answer that the group can only be read.
	log, _ := admin.must(t, http.MethodGet, "/api/v1/messages/history?include=all&limit=1&conversation_id="+g, http.StatusOK, nil)["messages"].([]any)
	last, _ := log[0].(map[string]any)
	list, _ := admin.must(t, http.MethodGet, "/api/v1/conversations", http.StatusOK, nil)["conversations"].([]any)
	listed, _ := list[0].(map[string]any)
	for name, got := range map[string]string{
		"the list":         str(listed, "dissolved_at"),
		"the conversation": str(admin.must(t, http.MethodGet, "/api/v1/conversations/"+g, http.StatusOK, nil), "conversation", "dissolved_at"),
		"the group":        str(admin.must(t, http.MethodGet, path, http.StatusOK, nil), "group", "dissolved_at"),
	} {
		if got == "" || str(last, "kind") != "dissolved" || got != str(last, "created_at") {
			t.Errorf("%s: dissolved at %q, after %v", name, got, last)
		}
	}

	// A dead group can be left, by its owner too, and is in nobody's list then.
	phone := admin.dial(t)
	for _, u := range []*account{member, admin} {
		u.must(t, http.MethodPost, path+"/leave", http.StatusNoContent, nil)
		if status, answer := u.try(t, http.MethodGet, path, nil); status != http.StatusNotFound {
			t.Errorf("the dissolved group after leaving it: %d %v", status, answer)
		}
		if list, ok := u.must(t, http.MethodGet, "/api/v1/conversations", http.StatusOK, nil)["conversations"].([]any); !ok || len(list) != 0 {
			t.Errorf("the list after leaving a dissolved group: %v", list)
		}
		for told := false; !told; { // what happened before the phone connected may still be on its way
			f, _ := phone.until(t, "event")
			told = str(f.Data, "kind") == "member_left" && str(f.Data, "user_id") == u.id
		}
	}
}

func TestJoinPolicies(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	owner, user := register(t, s, "owner"), register(t, s, "user")
	open := group(t, owner, nil)
	invite := group(t, owner, map[string]any{"join_policy": "invite"})
	approval := group(t, owner, map[string]any{"join_policy": "approval"})
	full := group(t, owner, map[string]any{"max_members": 2}, register(t, s, "third"))

	user.must(t, http.MethodPost, "/api/v1/groups/"+open+"/join", http.StatusNoContent, nil)
	if status, _ := user.try(t, http.MethodPost, "/api/v1/groups/"+open+"/join", nil); status != http.StatusConflict {
		t.Errorf("joining twice: %d", status)
	}
	if status, _ := user.try(t, http.MethodPost, "/api/v1/groups/"+invite+"/join", nil); status != http.StatusForbidden {
		t.Errorf("joining without an invitation: %d", status)
	}
	if status, _ := user.try(t, http.MethodPost, "/api/v1/groups/"+full+"/join", nil); status != http.StatusConflict {
		t.Errorf("joining a full group: %d", status)
	}
	user.must(t, http.MethodPost, "/api/v1/groups/"+approval+"/join", http.StatusAccepted, nil)
	user.must(t, http.MethodPost, "/api/v1/groups/"+approval+"/join", http.StatusAccepted, nil)
	if status, _ := user.try(t, http.MethodGet, "/api/v1/groups/"+approval+"/requests", nil); status != http.StatusNotFound && status != http.StatusForbidden {
		t.Errorf("the asker lists the requests: %d", status)
	}
	list, _ := owner.must(t, http.MethodGet, "/api/v1/groups/"+approval+"/requests", http.StatusOK, nil)["requests"].([]any)
	if len(list) != 1 {
		t.Fatalf("requests: %v", list)
	}
	owner.must(t, http.MethodPost, "/api/v1/groups/"+approval+"/requests/"+user.id, http.StatusNoContent, map[string]any{"approve": true})
	if status, _ := owner.try(t, http.MethodPost, "/api/v1/groups/"+approval+"/requests/"+user.id, map[string]any{"approve": true}); status != http.StatusNotFound {
		t.Errorf("deciding twice: %d", status)
	}
	user.say(t, approval, "hello")
	owner.must(t, http.MethodPost, "/api/v1/groups/"+invite+"/members", http.StatusOK, map[string]any{"user_ids": []string{user.id}})
	user.say(t, invite, "hello")
}

// When a kick or leave returns, the socket gets nothing more, however busy the group is.
func TestNothingAfterLeaving(t *testing.T) {
	t.Parallel()
	for _, threshold := range []string{"500", "2"} { // small group, and large: the interest index
		t.Run("threshold "+threshold, func(t *testing.T) {
			t.Parallel()
			s := deploy(t, "GOCHAT_DELIVERY_LARGE_GROUP_THRESHOLD="+threshold)
			owner, kicked, stays := register(t, s, "owner"), register(t, s, "kicked"), register(t, s, "stays")
			g := group(t, owner, nil, kicked, stays)
			w, control := kicked.dial(t), stays.dial(t)
			var wg sync.WaitGroup
			done := make(chan struct{})
			sent := make(chan int, 1)
			wg.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-done:
						sent <- i
						return
					default:
						owner.say(t, g, fmt.Sprint(i))
					}
				}
			})
			for range 20 {
				w.until(t, "message")
			}
			owner.must(t, http.MethodDelete, "/api/v1/groups/"+g+"/members/"+kicked.id, http.StatusNoContent, nil)
			w.send(t, `{"type":"ping"}`) // what follows the pong was written after the kick returned
			_, before := w.until(t, "pong")
			told := false
			for _, f := range before {
				told = told || str(f.Data, "kind") == "member_removed"
			}
			if !told {
				t.Error("the kicked user was not told")
			}
			for range 20 {
				control.until(t, "message")
			}
			close(done)
			wg.Wait()
			owner.say(t, g, "the last")
			for {
				f, _ := control.until(t, "message")
				if str(f.Data, "content") == "the last" {
					break
				}
			}
			w.send(t, `{"type":"ping"}`)
			if _, after := w.until(t, "pong"); len(after) != 0 {
				t.Errorf("%d frames after the kick returned: %+v", len(after), after[0])
			}
			<-sent
			// Back again: everything flows.
			owner.must(t, http.MethodPost, "/api/v1/groups/"+g+"/members", http.StatusOK, map[string]any{"user_ids": []string{kicked.id}})
			owner.say(t, g, "welcome back")
			for {
				f, _ := w.until(t, "message")
				if str(f.Data, "content") == "welcome back" {
					break
				}
			}
		})
	}
}

func TestGroupBecomesLargeWhileOnline(t *testing.T) {
	t.Parallel()
	s := deploy(t, "GOCHAT_DELIVERY_LARGE_GROUP_THRESHOLD=3")
	owner := register(t, s, "owner")
	g := group(t, owner, nil)
	var sockets []*socket
	for i := range 6 {
		m := register(t, s, fmt.Sprint("member", i))
		sockets = append(sockets, m.dial(t))
		owner.must(t, http.MethodPost, "/api/v1/groups/"+g+"/members", http.StatusOK, map[string]any{"user_ids": []string{m.id}})
		owner.say(t, g, fmt.Sprint("message ", i))
	}
	late := register(t, s, "late")
	owner.must(t, http.MethodPost, "/api/v1/groups/"+g+"/members", http.StatusOK, map[string]any{"user_ids": []string{late.id}})
	sockets = append(sockets, late.dial(t)) // indexed when it connects
	owner.say(t, g, "to all")
	for i, w := range sockets {
		last := int64(0)
		for {
			f := w.next(t)
			if f.Type != "message" && f.Type != "event" {
				continue
			}
			if seq := num(f.Data, "seq"); last != 0 && seq != last+1 {
				t.Errorf("member %d: seq %d after %d", i, seq, last)
			} else {
				last = seq
			}
			if str(f.Data, "content") == "to all" {
				break
			}
		}
	}
}
