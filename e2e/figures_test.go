package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// profiles is where BenchmarkDeployment leaves a CPU profile of each process under each load.
var profiles = flag.String("profiles", "", "`folder` for CPU profiles of GoChat's processes, with -bench")

// openLimits lifts what would limit a load before the servers do.
var openLimits = []string{
	"GOCHAT_LOG_LEVEL=warn", "GOCHAT_LOGIC_LOGIN_ADDRESS_RATE=100000", "GOCHAT_LOGIC_LOGIN_ADDRESS_BURST=100000",
	"GOCHAT_GATEWAY_LIMITS_SEND_RATE=1000000", "GOCHAT_GATEWAY_LIMITS_SEND_BURST=1000000",
	"GOCHAT_GATEWAY_LIMITS_FRAME_RATE=1000000", "GOCHAT_GATEWAY_LIMITS_FRAME_BURST=1000000",
	"GOCHAT_GATEWAY_LIMITS_CALL_RATE=1000000", "GOCHAT_GATEWAY_LIMITS_CALL_BURST=1000000",
	"GOCHAT_GATEWAY_LIMITS_REQUEST_RATE=1000000", "GOCHAT_GATEWAY_LIMITS_REQUEST_BURST=1000000",
}

// BenchmarkDeployment measures deployments on PostgreSQL, Redis and Kafka that are its own, all on this machine with the
// load: the figures of "Split" in docs/benchmarks.md. It looks at the rows that PostgreSQL has in the end.
func BenchmarkDeployment(b *testing.B) {
	for _, shape := range []topology{
		{name: "split", plan: func(t testing.TB, d *deployment) []processPlan { return splitInto(t, d, 1) }},
		mustTopology(b, "kafka"), mustTopology(b, "services"),
	} {
		b.Run(shape.name, func(b *testing.B) {
			d := &deployment{t: b, dir: filepath.Join(b.TempDir(), "data"), servers: newDirectServers(b)}
			d.run(shape, openLimits)
			for _, load := range []struct {
				name string
				args []string
			}{
				{"paced", []string{"send", "--rate", "200", "--warmup", "3s", "--duration", "10s"}},
				{"saturated", []string{"send", "--warmup", "3s", "--duration", "10s"}},
				{"fanout", []string{"fanout", "--warmup", "2s", "--duration", "6s"}},
			} {
				b.Run(load.name, func(b *testing.B) {
					for b.Loop() {
						r := d.measure(b, load.args)
						if shape.name == "split" && load.name == "saturated" {
							compareWithOne(b, r, load.args)
						}
					}
				})
			}
		})
	}
}

// benchReport is the output of `gochat bench --json`.
type benchReport struct {
	Figures []struct {
		Name  string
		Value float64
		Unit  string
	}
}

func (r *benchReport) value(b *testing.B, name string) float64 {
	b.Helper()
	for _, f := range r.Figures {
		if f.Name == name {
			return f.Value
		}
	}
	b.Fatalf("the bench tells no %q", name)
	return 0
}

// compareWithOne puts the same load on one process on SQLite at once, for the machine is not always the same.
func compareWithOne(b *testing.B, split *benchReport, args []string) {
	b.Helper()
	one := runBench(b, append([]string{"bench", "--json"}, args...))
	cpu := one.value(b, "server CPU a message")
	fmt.Printf("%32s %12.2f µs\n%32s %12.2f\n", "the same of one process", cpu, "times that", split.value(b, "CPU a message: GoChat")/cpu)
}

func runBench(b *testing.B, args []string) *benchReport {
	b.Helper()
	stdout, stderr, code := gochat(b, "", nil, args...)
	if code != 0 {
		b.Fatalf("%s\n%s", strings.Join(args, " "), stderr)
	}
	r := &benchReport{}
	if err := json.Unmarshal([]byte(stdout), r); err != nil {
		b.Fatal(err)
	}
	return r
}

// measure runs a load against every gateway, and prints and returns what it tells.
func (d *deployment) measure(b *testing.B, args []string) *benchReport {
	b.Helper()
	args = append([]string{"bench", "--json"}, args...)
	for _, g := range d.gateways {
		args = append(args, "--url", "http://"+g.address)
	}
	args = append(args, d.processFlags()...)
	before, size := d.rows(b)
	began := time.Now()
	profiled := d.profile(b)
	r := runBench(b, args)
	profiled()
	took := time.Since(began)
	rows, grown := d.rows(b)
	rows, grown = rows-before, grown-size
	var table strings.Builder
	for _, f := range r.Figures {
		fmt.Fprintf(&table, "%32s %12.2f %s\n", f.Name, f.Value, f.Unit)
	}
	// Not b.Log, which prints a benchmark's first lines only.
	fmt.Printf("\n%s\n%32s %9d in %v\n%32s %9d\n%s", b.Name(), "rows in PostgreSQL", rows, took.Round(time.Millisecond),
		"bytes a row there", grown/max(rows, 1), &table)
	acked := "messages acknowledged"
	if args[2] == "fanout" {
		acked = "messages"
	}
	if want := r.value(b, acked); float64(rows) < want {
		b.Errorf("%v messages were acknowledged, and PostgreSQL has %d more rows", want, rows)
	}
	for _, bad := range []string{"lost", "duplicated", "reordered"} {
		if n := r.value(b, bad); n != 0 {
			b.Errorf("%s: %v", bad, n)
		}
	}
	return r
}

// processFlags tell the bench whose CPU to tell.
func (d *deployment) processFlags() []string {
	var all, flags []string
	for _, p := range d.processes {
		pid := fmt.Sprint(p.cmd.Process.Pid)
		all = append(all, pid)
		flags = append(flags, "--process", p.name+"="+pid)
	}
	if len(all) > 1 {
		flags = append(flags, "--process", "GoChat="+strings.Join(all, ","))
	}
	flags = append(flags, "--process", fmt.Sprintf("PostgreSQL=%d", d.servers.postgres.PID()), "--process", fmt.Sprintf("Redis=%d", d.servers.redis.PID()))
	if d.servers.kafka != nil {
		flags = append(flags, "--process", fmt.Sprintf("Kafka=%d", d.servers.kafka.PID()))
	}
	return flags
}

// rows counts the entries of all conversations, and the bytes of the database.
func (d *deployment) rows(b *testing.B) (n, size int64) {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), d.servers.postgres.URL())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(b.Context())
	if err := conn.QueryRow(b.Context(), "SELECT count(*), pg_database_size(current_database()) FROM messages").Scan(&n, &size); err != nil {
		b.Fatal(err)
	}
	return n, size
}

// profile takes a profile of each process a while after the load's start, when they are wanted. The function that it returns waits for them.
func (d *deployment) profile(b *testing.B) (wait func()) {
	if *profiles == "" {
		return func() {}
	}
	var all sync.WaitGroup
	for _, p := range d.processes {
		all.Go(func() {
			if err := p.profile(filepath.Join(*profiles, strings.ReplaceAll(b.Name(), "/", "-")+"-"+p.name+".pprof")); err != nil {
				b.Errorf("profile of %s: %v", p.name, err)
			}
		})
	}
	return all.Wait
}

func (p *process) profile(path string) error {
	resp, err := http.Get(p.privateURL() + "/debug/pprof/profile?seconds=10") //nolint:noctx // the process bounds it
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(file, resp.Body)
	return err
}
