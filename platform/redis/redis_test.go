package redis_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/redis"
	"github.com/gochat-im/gochat/platform/testenv"
)

func config(address string, db int) redis.Config {
	cfg := redis.DefaultConfig()
	cfg.Addresses, cfg.DB, cfg.DialTimeout = []string{address}, db, 500*time.Millisecond
	return cfg
}

func open(t *testing.T, cfg redis.Config, o redis.Options) (*redis.Client, *prometheus.Registry) {
	t.Helper()
	o.Name = "test"
	reg := prometheus.NewRegistry()
	c, err := redis.Open(t.Context(), cfg, o, slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, reg
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); !holds(); <-tick.C {
		if time.Since(start) > 20*time.Second {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func TestOpenNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	db := testenv.Redis(t)
	for want, spoil := range map[string]func(c *redis.Config){
		"addresses: ":         func(c *redis.Config) { c.Addresses = []string{"127.0.0.1:1"} },
		"tls.ca: ":            func(c *redis.Config) { c.TLS.Enabled, c.TLS.CA = true, filepath.Join(t.TempDir(), "none") },
		"tls.cert: ":          func(c *redis.Config) { c.TLS.Enabled, c.TLS.Cert, c.TLS.Key = true, "none", "none" },
		"connect to Redis at": func(c *redis.Config) { c.Username, c.Password = "nobody", "wrong" },
		"DB index":            func(c *redis.Config) { c.DB = 100_000 },
	} {
		cfg := config(db.Address, db.DB)
		spoil(&cfg)
		c, err := redis.Open(t.Context(), cfg, redis.Options{Name: "test"}, slog.New(slog.DiscardHandler), nil)
		if err == nil {
			c.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "wrong") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestStateFollowsTheServer(t *testing.T) {
	t.Parallel()
	server := testenv.RedisServer(t)
	c, reg := open(t, config(server.Address(), 0), redis.Options{})
	first := c.State()
	if !first.Up || first.Server == "" || c.Ready() != nil {
		t.Fatalf("in the beginning: %+v, %v", first, c.Ready())
	}
	var mu sync.Mutex
	var seen []bool
	c.Watch(func(s redis.State) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, s.Up)
	})
	server.Kill()
	eventually(t, "the loss is seen", func() bool { return !c.State().Up && c.Ready() != nil })
	bounded, cancel := c.Within(t.Context())
	err := c.Failed(c.Do(bounded, c.B().Ping().Build()).Error(), "ping")
	cancel()
	if errs.CodeOf(err) != errs.Unavailable || !strings.Contains(err.Error(), "ping") {
		t.Errorf("a command: %v", err)
	}
	server.Start()
	eventually(t, "the server is back", func() bool { return c.State().Up })
	now := c.State()
	if now.Session <= first.Session || now.Server == first.Server || c.Ready() != nil {
		t.Errorf("after a start: %+v, %v; before %+v", now, c.Ready(), first)
	}
	eventually(t, "the watcher was told", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(seen) >= 2 && !seen[0] && seen[len(seen)-1]
	})
	if err := testutil.GatherAndCompare(reg, strings.NewReader(`# HELP gochat_redis_up 1 when Redis answers.
# TYPE gochat_redis_up gauge
gochat_redis_up{client="test"} 1
`), "gochat_redis_up"); err != nil {
		t.Error(err)
	}
}

// A half-open connection is noticed though nothing is asked, and a database that is flushed is another session.
func TestStateOfASilentServer(t *testing.T) {
	t.Parallel()
	server := testenv.RedisServer(t)
	proxy := testenv.Proxy(t, server.Address())
	c, _ := open(t, config(proxy.Address(), 0), redis.Options{})
	before := c.State()
	if err := c.Do(t.Context(), c.B().Flushall().Build()).Error(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a flush is another session", func() bool { s := c.State(); return s.Up && s.Session > before.Session })
	if c.State().Server != before.Server {
		t.Error("a flush made another server of it")
	}
	proxy.Stall()
	start := time.Now()
	eventually(t, "the silence is noticed", func() bool { return !c.State().Up })
	if took := time.Since(start); took > 4*time.Second { // 1.5 s, and what a busy machine adds
		t.Errorf("it took %v", took)
	}
	proxy.Resume()
	eventually(t, "the server is back", func() bool { return c.State().Up })
}

func TestScript(t *testing.T) {
	t.Parallel()
	db := testenv.Redis(t)
	c, _ := open(t, config(db.Address, db.DB), redis.Options{})
	script := redis.NewScript(`return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}`)
	var calls []redis.Call
	for i := range 300 {
		calls = append(calls, redis.Call{Keys: []string{c.Key("n", fmt.Sprint(i%3))}, Args: []string{fmt.Sprint(i)}})
	}
	for round := range 3 { // unknown, known, forgotten
		if round == 2 {
			if err := c.Do(t.Context(), c.B().ScriptFlush().Build()).Error(); err != nil {
				t.Fatal(err)
			}
		}
		for i, result := range script.Exec(t.Context(), c, calls...) {
			answer, err := result.ToArray()
			if err != nil || len(answer) != 3 {
				t.Fatalf("call %d: %v, %v", i, answer, err)
			}
			key, _ := answer[0].ToString()
			arg, _ := answer[1].ToString()
			n, _ := answer[2].AsInt64()
			if want := int64(round*100 + i/3 + 1); key != calls[i].Keys[0] || arg != fmt.Sprint(i) || n != want {
				t.Fatalf("call %d answers %s, %s, %d; want %d", i, key, arg, n, want)
			}
		}
	}
}

func TestTracking(t *testing.T) {
	t.Parallel()
	server := testenv.RedisServer(t)
	var mu sync.Mutex
	var told []string
	tracked, _ := open(t, config(server.Address(), 0), redis.Options{OnInvalidate: func(keys []string) {
		mu.Lock()
		defer mu.Unlock()
		if keys == nil {
			keys = []string{"*"}
		}
		told = append(told, keys...)
	}})
	other, _ := open(t, config(server.Address(), 0), redis.Options{})
	set := func(c *redis.Client, key string) {
		if err := c.Do(t.Context(), c.B().Set().Key(key).Value("v").Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	read := func(key string) {
		if err := tracked.Do(t.Context(), tracked.B().Get().Key(key).Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	saw := func(key string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return slices.Contains(told, key)
		}
	}
	for _, key := range []string{"theirs", "own", "unread"} {
		set(other, key)
	}
	read("theirs")
	read("own")
	set(tracked, "own")
	set(other, "unread")
	set(other, "theirs")
	eventually(t, "the key that another client changed", saw("theirs"))
	if saw("own")() || saw("unread")() || saw("*")() {
		t.Errorf("told of %v", told)
	}
	server.Kill()
	eventually(t, "nothing may be trusted", saw("*"))
}

func TestContextEndsACall(t *testing.T) {
	t.Parallel()
	db := testenv.Redis(t)
	c, _ := open(t, config(db.Address, db.DB), redis.Options{})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Do(ended, c.B().Ping().Build()).Error(); err == nil {
		t.Error("a call with an ended context succeeds")
	}
	if !c.State().Up {
		t.Error("an ended context took the server down")
	}
}
