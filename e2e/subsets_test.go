package e2e

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Each of the 15 subsets of the roles starts as a process of its own, finds the rest, which is another process, and does
// its part: a message goes all the way, over a socket and over HTTP.
func TestEverySubsetOfRoles(t *testing.T) {
	t.Parallel()
	roles := []string{"gateway", "logic", "repo", "task"}
	for mask := 1; mask <= 1<<len(roles)/2; mask++ { // with what is left each makes two of them
		var some, rest []string
		for i, role := range roles {
			if mask>>i&1 == 1 {
				some = append(some, role)
			} else {
				rest = append(rest, role)
			}
		}
		if mask == 1<<len(roles)/2 { // the last one of these stands in another pair: all of them in one process
			some, rest = roles, nil
		}
		t.Run(strings.Join(some, ",")+" and "+strings.Join(rest, ","), func(t *testing.T) {
			t.Parallel()
			d := &deployment{t: t, dir: filepath.Join(t.TempDir(), "data")}
			d.run(topology{name: t.Name(), plan: inParts(some, rest)}, nil)
			alice, bob := register(t, d, "alice"), register(t, d, "bob")
			chat := single(t, alice, bob)
			here, there := alice.dial(t), bob.dial(t)
			here.send(t, `{"type":"message","data":{"conversation_id":"`+chat+`","content":"over the socket","message_type":"text","client_msg_id":"1"}}`)
			here.until(t, "ack")
			alice.say(t, chat, "over HTTP")
			for _, want := range []string{"over the socket", "over HTTP"} {
				if f, _ := there.until(t, "message"); str(f.Data, "content") != want {
					t.Errorf("got %+v, want %q", f, want)
				}
			}
			page := bob.must(t, http.MethodGet, "/api/v1/messages/history?conversation_id="+chat, http.StatusOK, nil)
			if messages, _ := page["messages"].([]any); len(messages) != 2 {
				t.Errorf("the history has %v", page)
			}
		})
	}
}

// inParts are processes that have some roles each, on PostgreSQL, Redis and Kafka.
func inParts(parts ...[]string) func(t testing.TB, d *deployment) []processPlan {
	return func(t testing.TB, d *deployment) []processPlan {
		env := slices.Concat(sharedEnv(t, d), postgresEnv(t, d), kafkaEnv(t, d))
		var plans []processPlan
		for _, roles := range parts {
			if len(roles) == 0 {
				continue
			}
			port, dir := newRolePort(t, d), d.dir+"-"+strings.Join(roles, "-")
			for _, role := range roles {
				if role == "logic" || role == "repo" {
					env = append(env, "GOCHAT_ROLES_"+strings.ToUpper(role)+"_ADDRESS="+port.reached)
				}
				if role == "logic" {
					d.adminDir = dir
				}
			}
			plans = append(plans, processPlan{
				name: strings.Join(roles, "-"), gateway: slices.Contains(roles, "gateway"),
				args: []string{"--data-dir", dir, "--roles", strings.Join(roles, ",")}, env: port.env(),
			})
		}
		for i := range plans {
			plans[i].env = append(plans[i].env, env...)
		}
		return plans
	}
}
