package e2e

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/gochat-im/gochat/platform/testenv"
)

// A gateway that cannot reach Redis alone is dead in the eyes of the registry. Its sockets go on, and a logout
// elsewhere closes them before it returns.
func TestGatewayCutOffFromRedis(t *testing.T) {
	t.Parallel()
	d := &deployment{t: t, dir: filepath.Join(t.TempDir(), "data"), servers: newServers(t)}
	link := testenv.Proxy(t, d.servers.redis.Address())
	twins := mustTopology(t, "twins")
	shape := topology{plan: func(t testing.TB, d *deployment) []processPlan {
		plans := twins.plan(t, d)
		plans[0].env = append(plans[0].env, "GOCHAT_REDIS_ADDRESSES="+link.Address())
		return plans
	}}
	d.run(shape, []string{"GOCHAT_REGISTRY_LEASE=1s"})
	alice, bob := register(t, d.at(0), "alice"), register(t, d.at(1), "bob")
	chat := single(t, alice, bob)
	there := alice.dial(t)
	bob.say(t, chat, "before")
	there.until(t, "message")

	link.Cut()
	second := &deployment{processes: d.processes[1:]}
	eventually(t, "its lease ends in the eyes of the other", func() bool {
		return second.metrics(t)["gochat_router_lapsed_gateways"] == 1
	})
	bob.say(t, chat, "meanwhile")
	if f, _ := there.until(t, "message"); str(f.Data, "content") != "meanwhile" {
		t.Errorf("the socket at the gateway without Redis got %+v", f)
	}
	elsewhere := &account{s: d.at(1), name: alice.name, token: alice.token}
	elsewhere.must(t, http.MethodPost, "/api/v1/auth/logout", http.StatusNoContent, nil)
	if code, _ := there.closeCode(t); code != 4503 {
		t.Errorf("after a logout at the other gateway the socket closed with %d, want 4503", code)
	}
	link.Restore()
	eventually(t, "it is back", func() bool { return second.metrics(t)["gochat_router_lapsed_gateways"] == 0 })
	alice.login(t)
	there = alice.dial(t)
	bob.say(t, chat, "after")
	if f, _ := there.until(t, "message"); str(f.Data, "content") != "after" {
		t.Errorf("the socket at the gateway that is back got %+v", f)
	}
}
