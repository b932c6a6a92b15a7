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
	return append(redisEnv(t), rolesSecret, "GOCHAT_LOGIC_KEY_DIR="+filepath.Join(d.dir, "keys"))
}

func redisEnv(t testing.TB) []string {
	redis := testenv.Redis(t)
	return []string{"GOCHAT_CACHE=redis", "GOCHAT_REDIS_ADDRESSES=" + redis.Address, fmt.Sprintf("GOCHAT_REDIS_DB=%d", redis.DB)}
}

func postgresEnv(t testing.TB) []string {
	return []string{"GOCHAT_STORE=postgres", "GOCHAT_POSTGRES_URL=" + testenv.Postgres(t)}
}

// kafkaEnv gives each deployment topics and groups of its own on the broker that all tests share.
func kafkaEnv(t testing.TB) []string {
	return []string{
		"GOCHAT_BUS=kafka", "GOCHAT_KAFKA_BROKERS=" + testenv.Kafka(t), "GOCHAT_KAFKA_PREFIX=" + strings.ToLower(rand.Text()) + "-",
		"GOCHAT_KAFKA_PARTITIONS=4",
	}
}

// onKafka is one process on PostgreSQL, Redis and Kafka.
func onKafka(t testing.TB, d *deployment) []processPlan {
	return []processPlan{{
		name: "gochat", gateway: true, args: []string{"--data-dir", d.dir},
		env: slices.Concat(redisEnv(t), postgresEnv(t), kafkaEnv(t)),
	}}
}

// split is every role in two processes of its own, on PostgreSQL, Redis and Kafka.
func split(t testing.TB, d *deployment) []processPlan {
	env := slices.Concat(sharedEnv(t, d), postgresEnv(t), kafkaEnv(t))
	listen := map[string][]string{}
	for _, role := range []string{"repo", "logic", "task", "gateway"} {
		listen[role] = []string{freeAddress(t), freeAddress(t)}
	}
	peers := []string{
		"GOCHAT_ROLES_LOGIC_ADDRESS=" + strings.Join(listen["logic"], ","), "GOCHAT_ROLES_REPO_ADDRESS=" + strings.Join(listen["repo"], ","),
	}
	var plans []processPlan
	for _, role := range []string{"repo", "logic", "task", "gateway"} {
		for n, address := range listen[role] {
			name := fmt.Sprintf("%s-%d", role, n+1)
			plans = append(plans, processPlan{
				name: name, gateway: role == "gateway", args: []string{"--data-dir", d.dir + "-" + name, "--roles", role},
				env: slices.Concat(env, peers, []string{"GOCHAT_ROLES_LISTEN=" + address}),
			})
		}
	}
	return plans
}

// twins are two identical processes of all roles on PostgreSQL and Redis.
func twins(t testing.TB, d *deployment) []processPlan {
	env := append(sharedEnv(t, d), postgresEnv(t)...)
	var plans []processPlan
	for n, dir := range []string{d.dir, d.dir + "-2"} {
		plans = append(plans, processPlan{
			name: fmt.Sprintf("gochat-%d", n+1), gateway: true, args: []string{"--data-dir", dir},
			env: append([]string{"GOCHAT_ROLES_LISTEN=" + freeAddress(t)}, env...),
		})
	}
	return plans
}

// sharedRepo is one process of repo on SQLite, and two of all other roles.
func sharedRepo(t testing.TB, d *deployment) []processPlan {
	env := sharedEnv(t, d)
	repo := freeAddress(t)
	plans := []processPlan{{
		name: "repo", args: []string{"--data-dir", d.dir + "-repo", "--roles", "repo"}, env: append([]string{"GOCHAT_ROLES_LISTEN=" + repo}, env...),
	}}
	for n, dir := range []string{d.dir, d.dir + "-2"} {
		plans = append(plans, processPlan{
			name: fmt.Sprintf("gateway-%d", n+1), gateway: true, args: []string{"--data-dir", dir, "--roles", "gateway,logic,task"},
			env: append([]string{"GOCHAT_ROLES_LISTEN=" + freeAddress(t), "GOCHAT_ROLES_REPO_ADDRESS=" + repo}, env...),
		})
	}
	return plans
}
