package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gochat-im/gochat/bench/internal/check"
	"github.com/gochat-im/gochat/bench/internal/rawws"
	gochat "github.com/gochat-im/gochat/sdk/go"
)

// device is one place where a client is logged in. It keeps its log over the
// logins that follow each other.
type device struct {
	client *stressClient
	name   string
	http   *http.Client
	store  *gochat.MemoryStore
	pause  chan time.Duration // makes it read nothing for a while

	// Of the present login.
	label   string
	api     *gochat.Client
	session *gochat.Session
	drained chan struct{} // closed when the session has ended
	ending  atomic.Bool   // its end is wanted

	logins int
	last   map[string]int64 // seq that the session handed over last, by conversation

	mu          sync.Mutex // guards what the session's goroutines write
	frames      []check.Frame
	connections int
}

const (
	loginTimeout = 60 * time.Second
	// endTimeout is how long the socket of a login that was ended may live. The
	// promise is 2 s; a device that reads slowly learns it later.
	endTimeout = 10 * time.Second
)

// slowClient is an HTTP client whose sockets take little that is not read, until
// the run settles.
func (run *stressRun) slowClient() *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if tcp, ok := conn.(*net.TCPConn); ok && !run.settles() {
			_ = tcp.SetReadBuffer(4 << 10)
		}
		return conn, err
	}}}
}

// login logs in and opens a session, however often it must try.
func (d *device) login(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	urls := d.client.urls()
	api, err := gochat.New(urls[0], gochat.WithServers(urls[1:]...), gochat.WithHTTPClient(d.http))
	if err != nil {
		return err
	}
	refused := 0
	for tries := 0; ; tries++ {
		passwords := d.client.passwords
		_, err = api.Login(ctx, gochat.Credentials{
			Username: d.client.account.Name, Password: passwords[tries%len(passwords)], DeviceID: d.name, Platform: "bench",
		})
		if err == nil {
			break
		}
		if gochat.IsCode(err, gochat.CodeUnauthorized) {
			refused++
		}
		if !unknown(err) && (!gochat.IsCode(err, gochat.CodeUnauthorized) || refused >= 2*len(passwords)) { // others may fail in between
			return fmt.Errorf("log in %s of client %d: %w", d.name, d.client.index, err)
		}
		select {
		case <-time.After(100 * time.Millisecond << min(tries, 4)):
		case <-ctx.Done():
			return fmt.Errorf("log in %s of client %d: %w", d.name, d.client.index, err)
		}
	}
	d.logins++
	d.label = fmt.Sprintf("%s %d of client %d", d.name, d.logins, d.client.index)
	d.api = api
	return d.connect(ctx)
}

func (d *device) connect(ctx context.Context) error {
	label := d.label
	session, err := d.api.Connect(ctx, gochat.SessionConfig{
		Store: d.store, FromStart: true, AckTimeout: 5 * time.Second,
		Trace: func(data []byte) { d.trace(label, data) },
	})
	if err != nil {
		return fmt.Errorf("connect %s: %w", label, err)
	}
	d.last = map[string]int64{}
	position, err := d.store.Load(ctx)
	if err != nil {
		return err
	}
	for id := range position.Seqs {
		d.last[id] = -1 // what the session before stored and did not hand over any more is unknown
	}
	d.session, d.drained = session, make(chan struct{})
	d.ending.Store(false)
	go d.drain(session, d.drained)
	return nil
}

// close ends the session and what reads it.
func (d *device) close() {
	if d.session != nil {
		_ = d.session.Close()
		<-d.drained
	}
}

// over reports whether the session has ended by itself.
func (d *device) over() bool {
	select {
	case <-d.drained:
		return true
	default:
		return false
	}
}

// trace keeps every entry as it arrives at the socket.
func (d *device) trace(label string, data []byte) {
	if !rawws.IsType(data, "message") && !rawws.IsType(data, "event") {
		return
	}
	var f struct {
		Data gochat.Entry `json:"data"`
	}
	if json.NewDecoder(bytes.NewReader(data)).Decode(&f) != nil || f.Data.Seq == 0 || f.Data.Kind == "behind" {
		return
	}
	at := d.client.run.now()
	d.mu.Lock()
	d.frames = append(d.frames, check.Frame{User: d.client.id, Device: label, At: at, Entry: f.Data})
	d.mu.Unlock()
}

// drain reads the session's events, but for the pauses.
func (d *device) drain(session *gochat.Session, drained chan struct{}) {
	defer close(drained)
	for {
		select {
		case pause := <-d.pause:
			select {
			case <-time.After(pause):
			case <-d.client.run.settling:
			}
		case e, ok := <-session.Events():
			if !ok {
				d.ended(session.Err())
				return
			}
			d.take(e)
		}
	}
}

// take holds an event to the session's promise: each conversation's entries in
// order, none twice, none left out.
func (d *device) take(e gochat.Event) {
	switch e := e.(type) {
	case gochat.EntryEvent:
		id, seq := e.Entry.ConversationID, e.Entry.Seq
		if last := d.last[id]; last >= 0 && seq != last+1 {
			d.client.run.fail(&check.Violation{Promise: check.LocalLog, Conversation: id, Seq: seq, Detail: fmt.Sprintf(
				"%s was handed seq %d after %d", d.label, seq, last)})
		}
		d.last[id] = seq
	case gochat.StateEvent:
		if e.State == gochat.Connected {
			d.mu.Lock()
			d.connections++
			d.mu.Unlock()
		}
	}
}

// ended: a login ends only when somebody wants it to. Where a process was killed
// between the exchange of a refresh token and its answer, the next exchange
// looks like a thief's.
func (d *device) ended(err error) {
	if !errors.Is(err, gochat.ErrClosed) && !d.ending.Load() && !d.client.run.disturbed() {
		d.client.run.fail(fmt.Errorf("%s: the session ended: %w", d.label, err))
	}
}
