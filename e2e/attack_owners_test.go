package e2e

import (
	"net/http"
	"testing"
)

// The least that a group's roles promise: nobody takes the owner's place, and the last one cannot walk away from the rest.
func TestOwnersStay(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	owner, admin, second, member := register(t, s, "owner"), register(t, s, "admin"), register(t, s, "second"), register(t, s, "member")
	g := group(t, owner, nil, admin, second, member)
	path := "/api/v1/groups/" + g
	for _, u := range []*account{admin, second} {
		owner.must(t, http.MethodPut, path+"/members/"+u.id, http.StatusOK, map[string]any{"role": "admin"})
	}
	for name, c := range map[string]struct {
		who          *account
		method, path string
		body         map[string]any
	}{
		"an admin removes an admin":       {admin, http.MethodDelete, path + "/members/" + second.id, nil},
		"an admin mutes the owner":        {admin, http.MethodPut, path + "/members/" + owner.id, map[string]any{"muted_until": "2999-01-01T00:00:00Z"}},
		"an admin demotes the owner":      {admin, http.MethodPut, path + "/members/" + owner.id, map[string]any{"role": "member"}},
		"an admin demotes an admin":       {admin, http.MethodPut, path + "/members/" + second.id, map[string]any{"role": "member"}},
		"an admin promotes a member":      {admin, http.MethodPut, path + "/members/" + member.id, map[string]any{"role": "admin"}},
		"an admin transfers":              {admin, http.MethodPost, path + "/transfer", map[string]any{"user_id": admin.id}},
		"a member transfers":              {member, http.MethodPost, path + "/transfer", map[string]any{"user_id": member.id}},
		"a member unmutes a member":       {member, http.MethodPut, path + "/members/" + member.id, map[string]any{"muted_until": ""}},
		"a member removes the owner":      {member, http.MethodDelete, path + "/members/" + owner.id, nil},
		"a member reads the requests":     {member, http.MethodGet, path + "/requests", nil},
		"a member renames by the chat":    {member, http.MethodPut, "/api/v1/conversations/" + g, map[string]any{"name": "mine"}},
		"an admin of one, in another's":   {admin, http.MethodPut, "/api/v1/groups/" + group(t, owner, nil, admin), map[string]any{"name": "mine"}},
		"a member recalls another's text": {member, http.MethodDelete, "/api/v1/messages/" + str(owner.say(t, g, "x"), "id"), nil},
	} {
		if status, answer := c.who.try(t, c.method, c.path, c.body); status != http.StatusForbidden {
			t.Errorf("%s: %d %v", name, status, answer)
		}
	}
	for name, body := range map[string]map[string]any{
		"demotes themself": {"role": "member"}, "mutes themself": {"muted_until": "2999-01-01T00:00:00Z"},
	} {
		if status, answer := owner.try(t, http.MethodPut, path+"/members/"+owner.id, body); status < 400 || status >= 500 {
			t.Errorf("the owner %s: %d %v", name, status, answer)
		}
	}
	for _, to := range []string{owner.id, "12345"} {
		if status, answer := owner.try(t, http.MethodPost, path+"/transfer", map[string]any{"user_id": to}); status < 400 || status >= 500 {
			t.Errorf("transfer to %s: %d %v", to, status, answer)
		}
	}
	if status, answer := owner.try(t, http.MethodDelete, path+"/members/"+owner.id, nil); status != http.StatusConflict && status != http.StatusForbidden {
		t.Errorf("the owner removes themself: %d %v", status, answer)
	}
	if is, members := invariants(t, member, g); is != owner.id || len(members) != 4 {
		t.Errorf("owner %s, members %v", is, members)
	}
	// Who was muted and comes back is muted still.
	admin.must(t, http.MethodPut, path+"/members/"+member.id, http.StatusOK, map[string]any{"muted_until": "2999-01-01T00:00:00Z"})
	member.must(t, http.MethodPost, path+"/leave", http.StatusNoContent, nil)
	member.must(t, http.MethodPost, path+"/join", http.StatusNoContent, nil)
	if status, answer := member.try(t, http.MethodPost, "/api/v1/messages/send", map[string]any{"conversation_id": g, "content": "x", "message_type": "text"}); status != http.StatusForbidden {
		t.Errorf("leaving and joining lifted a mute: %d %v", status, answer)
	}
}
