package e2e

import (
	"crypto/rand"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gochat-im/gochat/platform/testenv"
)

// rolesSecret proves the processes of a deployment to each other.
const rolesSecret = "GOCHAT_ROLES_SECRET=an-end-to-end-secret-0123456789-abcdef"

// sharedEnv is what every process of a deployment that shares Redis and its signing keys gets.
func sharedEnv(t testing.TB, d *deployment) []string {
	return append(redisEnv(t, d), rolesSecret, "GOCHAT_LOGIC_KEY_DIR="+filepath.Join(d.dir, "keys"))
}

func redisEnv(t testing.TB, d *deployment) []string {
	if d.servers != nil {
		return []string{"GOCHAT_CACHE=redis", "GOCHAT_REDIS_ADDRESSES=" + d.servers.redis.Address()}
	}
	redis := testenv.Redis(t)
	return []string{"GOCHAT_CACHE=redis", "GOCHAT_REDIS_ADDRESSES=" + redis.Address, fmt.Sprintf("GOCHAT_REDIS_DB=%d", redis.DB)}
}

func postgresEnv(t testing.TB, d *deployment) []string {
	if d.servers != nil {
		return []string{"GOCHAT_STORE=postgres", "GOCHAT_POSTGRES_URL=" + d.servers.postgres.URL()}
	}
	return []string{"GOCHAT_STORE=postgres", "GOCHAT_POSTGRES_URL=" + testenv.Postgres(t)}
}

// kafkaEnv gives each deployment topics and groups of its own on the broker that all tests share, or a broker of its own. Of a
// process that was killed they wait for the end of its session: what that costs by default is for those who break things to see.
func kafkaEnv(t testing.TB, d *deployment) []string {
	var brokers string
	session := "2s"
	if d.servers != nil {
		brokers, session = d.servers.startKafka(t), "6s"
	} else {
		brokers = testenv.Kafka(t)
	}
	return []string{
		"GOCHAT_BUS=kafka", "GOCHAT_KAFKA_BROKERS=" + brokers, "GOCHAT_KAFKA_PREFIX=" + strings.ToLower(rand.Text()) + "-",
		"GOCHAT_KAFKA_PARTITIONS=4", "GOCHAT_KAFKA_SESSION_TIMEOUT=" + session,
	}
}

// onKafka is one process on PostgreSQL, Redis and Kafka.
func onKafka(t testing.TB, d *deployment) []processPlan {
	return []processPlan{{
		name: "gochat", gateway: true, args: []string{"--data-dir", d.dir},
		env: slices.Concat(redisEnv(t, d), postgresEnv(t, d), kafkaEnv(t, d)),
	}}
}

// onSQLite is one process on SQLite and Redis.
func onSQLite(t testing.TB, d *deployment) []processPlan {
	return []processPlan{{
		name: "gochat", gateway: true, args: []string{"--data-dir", d.dir},
		env: slices.Concat(newRolePort(t, d).env(), sharedEnv(t, d), []string{"GOCHAT_STORE=sqlite"}),
	}}
}

// split is every role in two processes of its own, on PostgreSQL, Redis and Kafka.
func split(t testing.TB, d *deployment) []processPlan { return splitInto(t, d, 2) }

// splitInto is as many processes of repo, logic and task, and two gateways, on PostgreSQL, Redis and Kafka.
func splitInto(t testing.TB, d *deployment, processes int) []processPlan {
	env := slices.Concat(sharedEnv(t, d), postgresEnv(t, d), kafkaEnv(t, d))
	roles := []string{"repo", "logic", "task", "gateway"}
	ports := map[string][]rolePort{}
	addresses := map[string]string{}
	for _, role := range roles {
		n := processes
		if role == "gateway" {
			n = 2
		}
		var reached []string
		for range n {
			port := newRolePort(t, d)
			ports[role], reached = append(ports[role], port), append(reached, port.reached)
		}
		addresses[role] = strings.Join(reached, ",")
	}
	peers := []string{"GOCHAT_ROLES_LOGIC_ADDRESS=" + addresses["logic"], "GOCHAT_ROLES_REPO_ADDRESS=" + addresses["repo"]}
	d.adminDir = d.dir + "-logic-1"
	var plans []processPlan
	for _, role := range roles {
		for n, port := range ports[role] {
			name := fmt.Sprintf("%s-%d", role, n+1)
			plans = append(plans, processPlan{
				name: name, gateway: role == "gateway", args: []string{"--data-dir", d.dir + "-" + name, "--roles", role},
				env: slices.Concat(env, peers, port.env()),
			})
		}
	}
	return plans
}

// rolePort is where a process serves its roles, and where the others reach it: through a proxy where links are broken.
type rolePort struct{ listen, reached string }

func newRolePort(t testing.TB, d *deployment) rolePort {
	address := testenv.FreeAddress(t)
	if d.servers == nil || d.servers.direct {
		return rolePort{address, address}
	}
	link := testenv.Proxy(t, address)
	d.servers.links = append(d.servers.links, link)
	return rolePort{address, link.Address()}
}

func (p rolePort) env() []string {
	return []string{"GOCHAT_ROLES_LISTEN=" + p.listen, "GOCHAT_ROLES_ADVERTISE=" + p.reached}
}

// twins are two identical processes of all roles on PostgreSQL and Redis.
func twins(t testing.TB, d *deployment) []processPlan {
	env := append(sharedEnv(t, d), postgresEnv(t, d)...)
	var plans []processPlan
	for n, dir := range []string{d.dir, d.dir + "-2"} {
		plans = append(plans, processPlan{
			name: fmt.Sprintf("gochat-%d", n+1), gateway: true, args: []string{"--data-dir", dir},
			env: append(newRolePort(t, d).env(), env...),
		})
	}
	return plans
}

// sharedRepo is one process of repo on SQLite, and two of all other roles.
func sharedRepo(t testing.TB, d *deployment) []processPlan {
	env := sharedEnv(t, d)
	repo := newRolePort(t, d)
	plans := []processPlan{{
		name: "repo", args: []string{"--data-dir", d.dir + "-repo", "--roles", "repo"}, env: append(repo.env(), env...),
	}}
	for n, dir := range []string{d.dir, d.dir + "-2"} {
		plans = append(plans, processPlan{
			name: fmt.Sprintf("gateway-%d", n+1), gateway: true, args: []string{"--data-dir", dir, "--roles", "gateway,logic,task"},
			env: slices.Concat(newRolePort(t, d).env(), []string{"GOCHAT_ROLES_REPO_ADDRESS=" + repo.reached}, env),
		})
	}
	return plans
}
