package e2e

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/gochat-im/gochat/platform/testenv"
)

// rolesSecret proves the processes of a deployment to each other.
const rolesSecret = "GOCHAT_ROLES_SECRET=an-end-to-end-secret-0123456789-abcdef"

// sharedEnv is what every process of a deployment that shares Redis and its signing keys gets.
func sharedEnv(t testing.TB, d *deployment) []string {
	redis := testenv.Redis(t)
	return []string{
		rolesSecret, "GOCHAT_LOGIC_KEY_DIR=" + filepath.Join(d.dir, "keys"),
		"GOCHAT_CACHE=redis", "GOCHAT_REDIS_ADDRESSES=" + redis.Address, fmt.Sprintf("GOCHAT_REDIS_DB=%d", redis.DB),
	}
}

// twins are two identical processes of all roles on PostgreSQL and Redis.
func twins(t testing.TB, d *deployment) []processPlan {
	env := append(sharedEnv(t, d), "GOCHAT_STORE=postgres", "GOCHAT_POSTGRES_URL="+testenv.Postgres(t))
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
