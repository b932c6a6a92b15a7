package rawws_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/gochat-im/gochat/bench/internal/rawws"
)

// echo serves what a handler does with one connection.
func serve(t *testing.T, handle func(ctx context.Context, conn *websocket.Conn, r *http.Request)) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer bad" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.CloseNow() }()
		conn.SetReadLimit(1 << 20)
		handle(context.WithoutCancel(r.Context()), conn, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestFramesOfEverySizeBothWays(t *testing.T) {
	t.Parallel()
	host := serve(t, func(ctx context.Context, conn *websocket.Conn, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token" {
			t.Errorf("Authorization %q", r.Header.Get("Authorization"))
		}
		for {
			kind, data, err := conn.Read(ctx)
			if err != nil {
				return
			}
			if conn.Write(ctx, kind, data) != nil {
				return
			}
		}
	})
	conn, err := rawws.Dial(t.Context(), host, "/ws", "token", 1<<17)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sizes := []int{0, 1, 125, 126, 127, 1000, 1<<16 - 1, 1 << 16, 1<<17 - 10}
	for _, size := range sizes { // one after the other, then all at once
		checkEcho(t, conn, size)
	}
	var frames []byte
	for _, size := range sizes[:6] {
		frames = rawws.AppendText(frames, payload(size))
	}
	if err := conn.Write(frames); err != nil {
		t.Fatal(err)
	}
	for _, size := range sizes[:6] {
		if got, err := conn.Next(); err != nil || !bytes.Equal(got, payload(size)) {
			t.Fatalf("size %d: %d bytes, %v", size, len(got), err)
		}
	}
	if conn.Buffered() {
		t.Error("something is left")
	}
}

func payload(size int) []byte { return bytes.Repeat([]byte{'a' + byte(size%26)}, size) }

func checkEcho(t *testing.T, conn *rawws.Conn, size int) {
	t.Helper()
	if err := conn.Write(rawws.AppendText(nil, payload(size))); err != nil {
		t.Fatal(err)
	}
	if got, err := conn.Next(); err != nil || !bytes.Equal(got, payload(size)) {
		t.Fatalf("size %d: %d bytes, %v", size, len(got), err)
	}
}

func TestPingIsAnswered(t *testing.T) {
	t.Parallel()
	host := serve(t, func(ctx context.Context, conn *websocket.Conn, _ *http.Request) {
		ctx = conn.CloseRead(ctx)
		if err := conn.Ping(ctx); err != nil {
			t.Error(err)
		}
		_ = conn.Write(ctx, websocket.MessageText, []byte("done"))
		<-ctx.Done()
	})
	conn, err := rawws.Dial(t.Context(), host, "/", "", 1024)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, err := conn.Next(); err != nil || string(got) != "done" {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestCloseTellsTheCode(t *testing.T) {
	t.Parallel()
	host := serve(t, func(_ context.Context, conn *websocket.Conn, _ *http.Request) {
		_ = conn.Close(4003, "too slow")
	})
	conn, err := rawws.Dial(t.Context(), host, "/", "", 1024)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Next(); !errors.Is(err, rawws.ErrClosed) || !strings.Contains(fmt.Sprint(err), "4003 too slow") {
		t.Fatal(err)
	}
}

func TestRefusedHandshakeAndLargeFrame(t *testing.T) {
	t.Parallel()
	host := serve(t, func(ctx context.Context, conn *websocket.Conn, _ *http.Request) {
		_ = conn.Write(ctx, websocket.MessageText, payload(2000))
		_, _, _ = conn.Read(ctx)
	})
	if _, err := rawws.Dial(t.Context(), host, "/", "bad", 1024); err == nil || !strings.Contains(err.Error(), "401") {
		t.Fatal(err)
	}
	conn, err := rawws.Dial(t.Context(), host, "/", "", 1024)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Next(); err == nil {
		t.Fatal("a frame that does not fit was read")
	}
}

func TestScan(t *testing.T) {
	t.Parallel()
	data := []byte(`{"type":"message","data":{"id":"5-12","seq":12,"content":"99 x"}}`)
	if n, ok := rawws.Number(data, []byte(`"seq":`)); !ok || n != 12 {
		t.Error(n, ok)
	}
	if n, ok := rawws.Number(data, []byte(`"content":"`)); !ok || n != 99 {
		t.Error(n, ok)
	}
	if _, ok := rawws.Number(data, []byte(`"type":"`)); ok {
		t.Error("a number where there is none")
	}
	if _, ok := rawws.Number(data, []byte(`"none":`)); ok {
		t.Error("a key that is not there")
	}
	if !rawws.IsType(data, "message") || rawws.IsType(data, "mess") || rawws.IsType(data, "event") || rawws.IsType(nil, "event") {
		t.Error("types")
	}
}

func TestLimitedHandshake(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	t.Cleanup(server.Close)
	conn, err := rawws.Dial(t.Context(), strings.TrimPrefix(server.URL, "http://"), "/ws", "token", 1<<10)
	if conn != nil || !errors.Is(err, rawws.ErrLimited) {
		t.Errorf("%v, %v", conn, err)
	}
}
