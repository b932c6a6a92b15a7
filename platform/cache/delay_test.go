package cache_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gochat-im/gochat/platform/cache"
	"github.com/gochat-im/gochat/platform/redis"
	"github.com/gochat-im/gochat/platform/testenv"
)

// readerVariable makes the test binary the other process of BenchmarkInvalidationDelay; it is the address of Redis.
const readerVariable = "CACHE_TEST_READER"

func TestMain(m *testing.M) {
	if address := os.Getenv(readerVariable); address != "" {
		if err := read(address); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// read keeps key 1 and tells when it is gone, once for each line of its input, until that ends.
func read(address string) error {
	cfg := redis.DefaultConfig()
	cfg.Addresses = []string{address}
	shared, err := cache.OpenShared(context.Background(), cfg, cache.DefaultSharedConfig(), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return err
	}
	defer shared.Close()
	c := cache.New(shared, cache.Config[int64, string]{Name: "test", MaxEntries: 10_000, Key: cache.Int64(), Value: text}, nil)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		for ok := false; !ok; _, ok = c.Peek(1) {
			if _, err := c.Get(context.Background(), 1, value("old")); err != nil {
				return err
			}
		}
		fmt.Println("has it")
		for ok := true; ok; _, ok = c.Peek(1) {
			time.Sleep(20 * time.Microsecond) // how exact the measurement is: not a processor's whole time
		}
		fmt.Println(time.Now().UnixNano())
	}
	return nil
}

// BenchmarkInvalidationDelay measures how long after its start an invalidation is seen by another operating-system
// process on the same machine: at rest, and while this process loads and invalidates other keys as fast as it can.
func BenchmarkInvalidationDelay(b *testing.B) {
	b.Run("at rest", func(b *testing.B) { invalidationDelay(b, 0) })
	b.Run("busy", func(b *testing.B) { invalidationDelay(b, 4) })
}

func invalidationDelay(b *testing.B, busy int) {
	db := testenv.RedisServer(b)
	c := process(b, db.Address(), 0)
	other := startReader(b, db.Address())
	ctx, cancel := context.WithCancel(b.Context())
	var load sync.WaitGroup
	for worker := range busy {
		load.Go(func() {
			for key := int64(worker + 2); ctx.Err() == nil; key += int64(busy) {
				_, _ = c.Get(ctx, key, value("x")) // ends with ctx
				_ = c.Invalidate(ctx, key)
			}
		})
	}
	var delays []time.Duration
	for b.Loop() {
		other.ask(b)
		start := time.Now()
		if err := c.Invalidate(b.Context(), 1); err != nil {
			b.Fatal(err)
		}
		gone, err := strconv.ParseInt(other.line(b), 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		delays = append(delays, time.Unix(0, gone).Sub(start))
	}
	cancel()
	load.Wait()
	slices.Sort(delays)
	for _, p := range []int{50, 99} {
		at := delays[min(len(delays)*p/100, len(delays)-1)]
		b.ReportMetric(float64(at.Microseconds())/1000, fmt.Sprintf("p%d-ms", p))
	}
}

// reader is the other process.
type reader struct {
	in  io.Writer
	out *bufio.Scanner
}

func startReader(b *testing.B, address string) *reader {
	cmd := exec.CommandContext(context.WithoutCancel(b.Context()), os.Args[0])
	cmd.Env = append(os.Environ(), readerVariable+"="+address)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close() // ends it
		if err := cmd.Wait(); err != nil {
			b.Errorf("the other process: %v", err)
		}
	})
	return &reader{in, bufio.NewScanner(out)}
}

// ask returns when the other process has the key again.
func (r *reader) ask(b *testing.B) {
	if _, err := fmt.Fprintln(r.in); err != nil {
		b.Fatal(err)
	}
	if got := r.line(b); got != "has it" {
		b.Fatalf("the other process says %q", got)
	}
}

func (r *reader) line(b *testing.B) string {
	if !r.out.Scan() {
		b.Fatalf("the other process has ended: %v", r.out.Err())
	}
	return r.out.Text()
}
