package e2e

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// faultsVariable makes TestFaults go through every fault of the topologies that it names ("twins,split"), or through
	// some: "split:Kafka is stopped|kill -9 of Kafka"; "split:shuffled" is all in an order that the seed makes.
	faultsVariable = "GOCHAT_E2E_FAULTS"
	shuffled       = "shuffled"
	seedVariable   = "GOCHAT_E2E_SEED" // of the clients and of the order; otherwise another one each time
	faultHold      = 2 * time.Second   // for which a fault lasts
	faultHeal      = 15 * time.Second  // within which every gateway serves after it
	faultDelay     = 100 * time.Millisecond
)

// TestFaults breaks one thing after the other while clients do everything at once: processes, the servers that they stand
// on, the links between them. Every promise must hold on what the clients saw, and after each fault every gateway must
// serve within faultHeal. Without faultsVariable it is a few faults of the twins.
func TestFaults(t *testing.T) {
	t.Parallel()
	names := os.Getenv(faultsVariable)
	if names == "" {
		testFaults(t, "twins", "kill -9 of gochat-1", "kill -9 of PostgreSQL", "kill -9 of Redis, its data is lost", "links between roles are half open")
		return
	}
	for name := range strings.SplitSeq(names, ",") {
		name, list, some := strings.Cut(name, ":")
		var only []string
		if some {
			only = strings.Split(list, "|")
		}
		t.Run(name, func(t *testing.T) { testFaults(t, name, only...) })
	}
}

// testFaults brings some faults, or all, over a topology.
func testFaults(t *testing.T, name string, only ...string) {
	d := deployOn(t, name, "GOCHAT_LOG_LEVEL=info", "GOCHAT_DELIVERY_LARGE_GROUP_THRESHOLD=6")
	faults := d.faults()
	seed := faultsSeed(t)
	switch {
	case slices.Equal(only, []string{shuffled}):
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	case len(only) > 0:
		known := faults
		faults = nil
		for _, name := range only { // as often as it is named
			i := slices.IndexFunc(known, func(f fault) bool { return f.name == name })
			if i < 0 {
				t.Fatalf("there is no fault %q", name)
			}
			faults = append(faults, known[i])
		}
	}
	p := newProbe(t, d)
	p.await(t, time.Now(), "the start")
	length := 3 * faultHold
	for i, f := range faults {
		faults[i].lasts = cmp.Or(f.lasts, faultHold)
		length += 2*faultHold + faults[i].lasts
	}
	load := startStress(t, d, seed, length)
	for _, f := range faults {
		if !load.running() {
			t.Errorf("the clients were done before: %s", f.name)
		}
		f.begin()
		<-time.After(f.lasts)
		f.end()
		end := time.Now()
		p.await(t, end, f.name)
		t.Logf("| %s | %v | %v |", f.name, f.lasts, time.Since(end).Round(10*time.Millisecond))
	}
	t.Log(load.wait(t))
}

// faultsSeed is a new seed, or the one that the environment names.
func faultsSeed(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv(seedVariable); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 63); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	t.Logf("seed %d", seed)
	return seed
}

// await waits until every gateway serves, at most faultHeal since the end of a fault.
func (p *probe) await(t *testing.T, end time.Time, fault string) {
	t.Helper()
	for {
		err := p.serves(t.Context())
		if err == nil {
			return
		}
		if took := time.Since(end); took > faultHeal {
			t.Fatalf("%s: not healed after %v: %v", fault, took, err)
		}
	}
}

// stress is a `gochat bench stress` that runs beside the test.
type stress struct {
	*process
}

// startStress returns once its clients are at work, on every gateway.
func startStress(t *testing.T, d *deployment, seed uint64, duration time.Duration) *stress {
	t.Helper()
	var urls []string
	for _, g := range d.gateways {
		urls = append(urls, "http://"+g.address)
	}
	s := &stress{newCommand(t, "stress", " are at work", "bench", "stress", "--faults", "--seed", fmt.Sprint(seed),
		"--url", strings.Join(urls, ","), "--duration", duration.String())}
	s.launch()
	t.Cleanup(func() {
		if s.running() {
			s.kill()
		}
	})
	s.awaitReady()
	return s
}

// wait waits for its end and returns the report: no promise may have been broken.
func (s *stress) wait(t *testing.T) string {
	t.Helper()
	select {
	case <-s.exited:
	case <-time.After(5 * time.Minute):
		s.kill()
	}
	if s.waitErr != nil {
		t.Errorf("the clients: %v\n%s\n%s", s.waitErr, s.log, s.stdout.String())
	}
	return s.stdout.String()
}
