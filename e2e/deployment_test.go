package e2e

import (
	"cmp"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// deployment is a running GoChat, of as many processes as the topology has. Clients are spread over its gateways.
type deployment struct {
	t         testing.TB
	dir       string // the data folder, where there is one
	processes []*process
	gateways  []*process
	adminDir  string        // where the operator's commands find logic; empty: dir
	servers   *servers      // its own, to be broken; nil: those that tests share
	turn      atomic.Uint32 // the gateway that the next client gets
}

// deploy starts a deployment with its own data and stops it at the end of the test. Every exit must be clean and the logs free of
// data races. The environment holds for every process.
func deploy(t testing.TB, env ...string) *deployment {
	t.Helper()
	return deployIn(t, filepath.Join(t.TempDir(), "data"), env...)
}

// deployIn is deploy with the data of a folder.
func deployIn(t testing.TB, dir string, env ...string) *deployment {
	t.Helper()
	d := &deployment{t: t, dir: dir}
	d.run(current, env)
	return d
}

// deployOn starts a deployment of a topology on servers of its own, reached through links that can be broken.
func deployOn(t testing.TB, name string, env ...string) *deployment {
	t.Helper()
	d := &deployment{t: t, dir: filepath.Join(t.TempDir(), "data"), servers: newServers(t)}
	d.run(mustTopology(t, name), env)
	return d
}

// run starts the processes of a topology, and stops them at the end of the test.
func (d *deployment) run(shape topology, env []string) {
	t := d.t
	t.Helper()
	for _, plan := range shape.plan(t, d) {
		p := newProcess(t, plan, env)
		d.processes = append(d.processes, p)
		if plan.gateway {
			d.gateways = append(d.gateways, p)
		}
	}
	t.Cleanup(func() {
		d.stop()
		if log := d.log(); strings.Contains(log, "DATA RACE") {
			t.Errorf("data race in the server:\n%s", log)
		}
		if t.Failed() {
			for _, p := range d.processes {
				t.Logf("log of %s:\n%s", p.name, p.log.tail(8<<10))
			}
		}
	})
	d.start()
}

// deployShape is deploy with another topology than the run's.
func deployShape(t testing.TB, name string, env ...string) *deployment {
	t.Helper()
	d := &deployment{t: t, dir: filepath.Join(t.TempDir(), "data")}
	d.run(mustTopology(t, name), env)
	return d
}

// at is the deployment as its clients at one gateway see it.
func (d *deployment) at(gateway int) *deployment {
	return &deployment{t: d.t, dir: d.dir, processes: d.processes, gateways: d.gateways[gateway : gateway+1]}
}

// gateway returns the next gateway in turn.
func (d *deployment) gateway() *process {
	return d.gateways[int(d.turn.Add(1)-1)%len(d.gateways)]
}

// url returns the base URL of the next gateway in turn.
func (d *deployment) url() string { return "http://" + d.gateway().address }

// socketURL returns the next gateway's WebSocket.
func (d *deployment) socketURL() string { return "ws://" + d.gateway().address + "/ws" }

// start starts every process, again after kill or stop, with the data and the addresses that they had.
func (d *deployment) start() {
	d.t.Helper()
	for _, p := range d.processes {
		p.launch()
	}
	for _, p := range d.processes {
		p.awaitReady()
	}
}

// kill ends every process at once, like a power cut: SIGKILL.
func (d *deployment) kill() {
	d.t.Helper()
	together(d.processes, (*process).kill)
}

// stop ends every process with SIGTERM, those that serve clients first, and wants exit code 0 of each.
func (d *deployment) stop() {
	d.t.Helper()
	together(d.gateways, (*process).stop)
	together(d.processes, (*process).stop)
}

// together does something with all processes at the same time.
func together(all []*process, do func(*process)) {
	var wg sync.WaitGroup
	for _, p := range all {
		wg.Go(func() { do(p) })
	}
	wg.Wait()
}

// log returns the log of every process since it was started last.
func (d *deployment) log() string {
	var all strings.Builder
	for _, p := range d.processes {
		all.WriteString(p.log.String())
	}
	return all.String()
}

// admin runs an operator's command on the deployment.
func (d *deployment) admin(t testing.TB, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return gochat(t, stdin, d.processes[0].env, append([]string{"admin", "--data-dir", cmp.Or(d.adminDir, d.dir)}, args...)...)
}
