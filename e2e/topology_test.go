package e2e

import (
	"fmt"
	"os"
	"slices"
	"testing"
)

// topologyVariable chooses the topology that the suite runs in; the default is the first.
const topologyVariable = "GOCHAT_E2E_TOPOLOGY"

// topology is a way to run GoChat. A test sees only the deployment.
type topology struct {
	name string
	// plan says which processes a deployment is made of. It may start what they need first.
	plan func(t testing.TB, d *deployment) []processPlan
	// own are the tests of what only this topology has.
	own map[string]func(t *testing.T)
}

// processPlan is one process of a deployment.
type processPlan struct {
	name    string
	gateway bool     // it serves clients
	args    []string // of serve, besides its addresses
	env     []string
}

// current is the topology of this run.
var current topology

func topologies() []topology {
	return []topology{{
		name: "embedded",
		plan: func(_ testing.TB, d *deployment) []processPlan {
			return []processPlan{{name: "gochat", gateway: true, args: []string{"--data-dir", d.dir}}}
		},
		own: map[string]func(t *testing.T){
			"backup and restore":      testBackupAndRestore,
			"the operator's commands": testAdminWithAndWithoutServer,
			"one process a folder":    testDataFolderBelongsToOne,
			"the disk is full":        testFullDisk,
			"a damaged database":      testDamagedDatabase,
			"killed during a backup":  testKillDuringBackup,
			"keys are generated":      testKeysAreGeneratedAndPrivate,
		},
	}, {
		name: "services",
		plan: func(t testing.TB, d *deployment) []processPlan {
			return []processPlan{{
				name: "gochat", gateway: true, args: []string{"--data-dir", d.dir}, env: append(redisEnv(t, d), postgresEnv(t, d)...),
			}}
		},
		own: map[string]func(t *testing.T){
			"one process a folder": testDataFolderBelongsToOne,
			"keys are generated":   testKeysAreGeneratedAndPrivate,
		},
	}, {name: "kafka", plan: onKafka}, {name: "twins", plan: twins}, {name: "shared-repo", plan: sharedRepo}, {name: "sqlite", plan: onSQLite}, {name: "split", plan: split}}
}

func chosenTopology() (topology, error) {
	name := os.Getenv(topologyVariable)
	if name == "" {
		return topologies()[0], nil
	}
	return topologyNamed(name)
}

func topologyNamed(name string) (topology, error) {
	all := topologies()
	i := slices.IndexFunc(all, func(p topology) bool { return p.name == name })
	if i < 0 {
		return topology{}, fmt.Errorf("%s: there is no topology %q", topologyVariable, name)
	}
	return all[i], nil
}

func mustTopology(t testing.TB, name string) topology {
	t.Helper()
	shape, err := topologyNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return shape
}

// TestOwn runs the tests of what only the current topology has.
func TestOwn(t *testing.T) {
	t.Parallel()
	for name, test := range current.own {
		t.Run(name, test)
	}
}
