package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestSequenceCounts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		seen                        []int64
		first, last                 int64
		lost, duplicated, reordered int64
	}{
		"in order":              {[]int64{4, 5, 6}, 4, 6, 0, 0, 0},
		"a hole":                {[]int64{1, 2, 5}, 1, 5, 2, 0, 0},
		"the beginning missing": {[]int64{3, 4}, 1, 4, 2, 0, 0},
		"the end missing":       {[]int64{1, 2}, 1, 4, 2, 0, 0},
		"nothing seen":          {nil, 3, 5, 3, 0, 0},
		"nothing sent":          {nil, 0, 0, 0, 0, 0},
		"twice":                 {[]int64{1, 2, 2, 1}, 1, 2, 0, 2, 0},
		"swapped":               {[]int64{1, 3, 2, 4}, 1, 4, 0, 0, 1},
		"swapped at once":       {[]int64{4, 1, 3}, 1, 4, 1, 0, 2},
		"late, and again":       {[]int64{1, 3, 2, 2}, 1, 3, 0, 1, 1},
	} {
		var s sequence
		for _, seq := range c.seen {
			s.see(seq)
		}
		if lost := s.Lost(c.first, c.last); lost != c.lost || s.Duplicated != c.duplicated || s.Reordered != c.reordered || s.Received != int64(len(c.seen)) {
			t.Errorf("%s: %+v, lost %d", name, s, lost)
		}
	}
}

func TestLimitsOfTheServerAreNamed(t *testing.T) {
	t.Parallel()
	for frame, want := range map[string]bool{
		`{"type":"error","data":{"client_msg_id":"1","code":1007,"message":"too many messages"}}`: true,
		`{"type":"error","data":{"client_msg_id":"1","code":1001,"message":"content: is empty"}}`: false,
	} {
		var r refusals
		r.note([]byte(frame))
		if hint := limitHint(fmt.Errorf("send: %w", r.err())); (hint != "") != want {
			t.Errorf("%s: %q", frame, hint)
		}
	}
}

func TestUsageOfThisProcess(t *testing.T) {
	t.Parallel()
	for began := time.Now(); time.Since(began) < 50*time.Millisecond; { // use some
	}
	u, err := usageOf(os.Getpid())
	if err != nil {
		t.Skip("no /proc here: ", err)
	}
	if u.CPU < 10*time.Millisecond || u.RSS < 1<<20 {
		t.Fatalf("%+v", u)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	r := &report{Name: "a thing"}
	r.add("speed", 1234.5, "/s")
	r.add("lost", 0, "")
	bare := &report{}
	bare.add("speed", 2469, "/s")
	r.floors(bare)
	var table, object bytes.Buffer
	if err := r.write(&table, false); err != nil {
		t.Fatal(err)
	}
	if err := r.write(&object, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a thing", "1234", "2469", "0.50", "lost"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("no %q in\n%s", want, &table)
		}
	}
	var back report
	if err := json.Unmarshal(object.Bytes(), &back); err != nil || back.Figures[0].Floor != 2469 || len(back.Figures) != 2 {
		t.Errorf("%s: %v", &object, err)
	}
}

// The fan-out's own clients against the bare server: everything arrives, and a
// run ends by itself.
func TestFanoutCountsEveryDelivery(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	address, err := freeAddress(ctx)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- serveFloor(ctx, address) }()
	defer func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	if !waitUntil(ctx, 10*time.Second, func() bool {
		body, err := get(ctx, "http://"+address+"/readyz")
		if err == nil {
			body.Close()
		}
		return err == nil
	}) {
		t.Fatal("the bare server is not ready")
	}
	for name, rate := range map[string]float64{"saturated": 0, "paced": 50} {
		o := fanoutOptions{options: &options{}, Members: 20, Ahead: 16, load: load{Senders: 2, Outstanding: 4, Duration: 300 * time.Millisecond, Rate: rate}}
		w := &world{server: attach("http://" + address), Accounts: bareAccounts(22), Groups: []string{"1"}}
		r := &report{}
		if err := o.measureFanout(ctx, w, r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		figures := map[string]float64{}
		for _, f := range r.Figures {
			figures[f.Name] = f.Value
		}
		if figures["messages"] == 0 || figures["deliveries"] != 20*figures["messages"] {
			t.Errorf("%s: %v", name, figures)
		}
		for _, bad := range []string{"lost", "duplicated", "reordered", "unanswered"} {
			if figures[bad] != 0 {
				t.Errorf("%s: %s %v", name, bad, figures[bad])
			}
		}
	}
}

func TestEveryCommandHasItsFlags(t *testing.T) {
	t.Parallel()
	cmd := Command()
	for _, name := range []string{"idle", "send", "fanout", "history", "stress"} {
		sub, _, err := cmd.Find([]string{name})
		if err != nil || sub.Name() != name || sub.Short == "" {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if sub.Flag("url") == nil || sub.Flag("json") == nil {
			t.Errorf("%s has no --url or --json", name)
		}
	}
}

func TestStressRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"killing a server that is not ours": {"stress", "--url", "http://127.0.0.1:1", "--kill-every", "1s"},
		"too few clients":                   {"stress", "--clients", "1"},
	} {
		cmd := Command()
		cmd.SetArgs(args)
		cmd.SetOut(&bytes.Buffer{})
		cmd.SetErr(&bytes.Buffer{})
		cmd.SilenceUsage = true
		if err := cmd.ExecuteContext(t.Context()); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
