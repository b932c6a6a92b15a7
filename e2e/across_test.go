package e2e

import (
	"net/http"
	"testing"
)

// What happens at one gateway of several is known at the other, when the call returns or with the next frame. The whole
// suite spreads its clients in those topologies; this is the part of it that every run has.
func TestAcrossGateways(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"twins", "split"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := deployShape(t, name, "GOCHAT_DELIVERY_LARGE_GROUP_THRESHOLD=3")
			alice, bob, carol := register(t, d.at(0), "alice"), register(t, d.at(1), "bob"), register(t, d.at(1), "carol")
			small := group(t, alice, nil, bob)
			large := group(t, alice, nil, bob, carol, register(t, d.at(0), "dave"))
			here, there := alice.dial(t), bob.dial(t)
			for _, g := range []string{small, large} {
				alice.say(t, g, "over HTTP to "+g)
				if f, _ := there.until(t, "message"); str(f.Data, "content") != "over HTTP to "+g {
					t.Fatalf("the other gateway's socket got %+v", f)
				}
				there.send(t, `{"type":"message","data":{"conversation_id":"`+g+`","content":"back","message_type":"text","client_msg_id":"back-`+g+`"}}`)
				there.until(t, "ack")
				for f, _ := here.until(t, "message"); str(f.Data, "content") != "back"; f, _ = here.until(t, "message") {
				}
				here.send(t, `{"type":"open","id":"open","data":{"conversation_id":"`+g+`"}}`)
				here.until(t, "ok")
				there.send(t, `{"type":"typing","data":{"conversation_id":"`+g+`"}}`)
				here.until(t, "typing")
			}
			alice.must(t, http.MethodDelete, "/api/v1/groups/"+large+"/members/"+bob.id, http.StatusNoContent, nil)
			alice.say(t, large, "without bob")
			alice.say(t, small, "with bob")
			f, _ := there.until(t, "message")
			if str(f.Data, "content") != "with bob" {
				t.Errorf("after the kick the other gateway's socket got %+v", f)
			}
			// What calls between processes cannot carry is refused like any nonsense.
			alice.must(t, http.MethodGet, "/api/v1/users?query=%ff", http.StatusBadRequest, nil)
			(&account{s: d, token: "\xff"}).must(t, http.MethodGet, "/api/v1/conversations", http.StatusUnauthorized, nil)
			elsewhere := &account{s: d.at(0), name: bob.name, token: bob.token}
			elsewhere.must(t, http.MethodPost, "/api/v1/auth/logout", http.StatusNoContent, nil)
			if code, _ := there.closeCode(t); code != 4503 {
				t.Errorf("after a logout at the other gateway the socket closed with %d, want 4503", code)
			}
			if status, _ := bob.try(t, http.MethodGet, "/api/v1/conversations", nil); status != http.StatusUnauthorized {
				t.Errorf("the ended session at the other gateway: %d", status)
			}
		})
	}
}
