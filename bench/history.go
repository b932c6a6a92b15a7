package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/gochat-im/gochat/bench/internal/latency"
	"github.com/gochat-im/gochat/bench/internal/rawws"
	"github.com/gochat-im/gochat/platform/id"
	"github.com/gochat-im/gochat/repo/repopb"
)

type historyOptions struct {
	*options
	Messages      int64
	Conversations int
	Reads         int
	Readers       int
	Page          int
}

func historyCommand(o *options) *cobra.Command {
	history := historyOptions{options: o}
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Random pages of a long conversation, and the list of many conversations",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return o.measure(cmd, history.run) },
	}
	flags := cmd.Flags()
	flags.Int64Var(&history.Messages, "messages", 1_000_000, "messages in the conversation")
	flags.IntVar(&history.Conversations, "conversations", 5000, "conversations of the user whose list is read")
	flags.IntVar(&history.Reads, "reads", 2000, "pages to read of each kind")
	flags.IntVar(&history.Readers, "readers", 1, "pages that are read at a time")
	flags.IntVar(&history.Page, "page", 50, "messages on a page")
	o.addFloor(cmd)
	return cmd
}

const (
	pagesBefore = "page before"
	pagesAfter  = "page after"
)

// run: users 0 and 1 have the long conversation; user 0 has one with each of the
// others too.
func (o historyOptions) run(ctx context.Context) (*report, error) {
	p := plan{Users: o.Conversations + 1, Seed: o.seed}
	for i := range o.Conversations {
		p.Singles = append(p.Singles, [2]int{0, i + 1})
	}
	name := fmt.Sprintf("history of %d messages, list of %d conversations", o.Messages, o.Conversations)
	return o.against(ctx, p, name, o.measureReads, nil) // it measures its floor itself, on the same file
}

// seedBatch is how many messages are stored in one transaction.
const seedBatch = 500

// seed fills the long conversation, and puts one message into each other.
func (o historyOptions) seed(ctx context.Context, store repopb.RepoServiceServer, w *world) error {
	var conversations, users []int64
	for _, text := range w.Singles {
		v, err := id.Parse(text)
		if err != nil {
			return err
		}
		conversations = append(conversations, v)
	}
	for _, a := range w.Accounts[:2] {
		v, err := id.Parse(a.ID)
		if err != nil {
			return err
		}
		users = append(users, v)
	}
	total := o.Messages + int64(len(conversations)) - 1
	for from := int64(0); from < total; from += seedBatch {
		var request repopb.CreateMessagesRequest
		for n := from; n < min(from+seedBatch, total); n++ {
			m := &repopb.NewMessage{
				ConversationId: conversations[0], SenderId: users[n%2], ClientMsgId: strconv.FormatInt(n, 10), MessageType: "text",
				Content: fmt.Sprintf("message %d: the quick brown fox jumps over the lazy dog", n),
			}
			if other := n - o.Messages; other >= 0 {
				m.ConversationId, m.SenderId = conversations[other+1], users[0]
			}
			request.Messages = append(request.Messages, m)
		}
		resp, err := store.CreateMessages(ctx, &request)
		if err != nil {
			return fmt.Errorf("create messages: %w", err)
		}
		for _, result := range resp.GetResults() {
			if result.GetCode() != 0 {
				return fmt.Errorf("create messages: %s", result.GetError())
			}
		}
	}
	return nil
}

func (o historyOptions) measureReads(ctx context.Context, w *world, r *report) error {
	if len(o.URLs) > 0 {
		if err := o.fill(ctx, w); err != nil {
			return err
		}
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: o.Readers}}
	defer client.CloseIdleConnections()
	history := w.url + "/api/v1/messages/history?conversation_id=" + w.Singles[0] + "&limit=" + strconv.Itoa(o.Page)
	random := func() string { return strconv.FormatInt(1+rand.Int64N(o.Messages), 10) }
	for _, read := range []struct {
		name string
		url  func() string
	}{
		{"newest page", func() string { return history }},
		{pagesBefore, func() string { return history + "&before_seq=" + random() }},
		{pagesAfter, func() string { return history + "&after_seq=" + random() }},
		{"list of conversations", func() string { return w.url + "/api/v1/conversations?limit=" + strconv.Itoa(o.Page) }},
		{"unread", func() string { return w.url + "/api/v1/messages/unread" }},
	} {
		h, took, err := o.readPages(ctx, client, w.Accounts[0].Token, read.url)
		if err != nil {
			return err
		}
		r.add(read.name, float64(h.Count())/took.Seconds(), "/s")
		r.latencies(read.name, h)
	}
	for _, route := range []string{"/api/v1/messages/history", "/api/v1/conversations"} {
		all := w.buckets(ctx, "gochat_http_request_seconds", fmt.Sprintf(`method="GET",route=%q`, route))
		for _, q := range []float64{0.5, 0.99} {
			if v := quantile(q, all); !math.IsNaN(v) {
				r.add(fmt.Sprintf("p%g in the server, %s", 100*q, route), 1000*v, "ms")
			}
		}
	}
	if !o.Floor || w.dir == "" {
		return nil
	}
	bare, err := o.barePages(ctx, filepath.Join(w.dir, "gochat.db"), w.Singles[0], o.Messages)
	if err != nil {
		return err
	}
	r.floors(bare)
	return nil
}

// readPages reads pages, each of them whole, and tells how long they took.
func (o historyOptions) readPages(ctx context.Context, client *http.Client, token string, url func() string) (*latency.Histogram, time.Duration, error) {
	each := make([]latency.Histogram, o.Readers)
	failures := make([]error, o.Readers)
	began := time.Now()
	var readers sync.WaitGroup
	for i := range o.Readers {
		readers.Go(func() {
			for range max(o.Reads/o.Readers, 1) {
				start := time.Now()
				if failures[i] = readPage(ctx, client, token, url()); failures[i] != nil {
					return
				}
				each[i].Add(time.Since(start))
			}
		})
	}
	readers.Wait()
	took := time.Since(began)
	var all latency.Histogram
	for i := range each {
		all.Merge(&each[i])
	}
	return &all, took, errors.Join(failures...)
}

func readPage(ctx context.Context, client *http.Client, token, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("read a page: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		err := fmt.Errorf("read a page: %s: %s", resp.Status, body)
		if resp.StatusCode == http.StatusTooManyRequests {
			err = errors.Join(err, rawws.ErrLimited)
		}
		return err
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("read a page: %w", err)
	}
	return nil
}

// fill sends the messages through the API of a server that runs already.
func (o historyOptions) fill(ctx context.Context, w *world) error {
	conns, err := w.dialAll(ctx, w.Accounts[:1], 32<<10)
	if err != nil {
		return err
	}
	defer closeAll(conns)
	s := newSender(conns[0], w.Singles[0], 1000)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.admit = func() bool {
		if s.sent.Load() >= o.Messages {
			cancel()
		}
		return s.sent.Load() < o.Messages
	}
	var refused refusals
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		s.receive(&refused)
	}()
	err = s.send(ctx)
	waitUntil(context.WithoutCancel(ctx), 60*time.Second, s.answered)
	closeAll(conns)
	<-reading
	return errors.Join(err, refused.err())
}
