package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/coder/websocket"
	"github.com/spf13/cobra"

	"github.com/gochat-im/gochat/bench/internal/rawws"
)

const floorServerName = "floor-server"

// floorServerCommand is the bare WebSocket server: the library used in the
// plainest way, storing nothing, asking nobody who they are.
func floorServerCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:    floorServerName,
		Short:  "The bare WebSocket server that --floor measures against",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			return serveFloor(ctx, listen)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "where to listen")
	return cmd
}

func serveFloor(ctx context.Context, listen string) error {
	b := &bareServer{members: map[*websocket.Conn]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /ws", b.serve)
	server := &http.Server{Addr: listen, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stopped := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stopped()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("floor server: %w", err)
	}
	return nil
}

// bareServer writes each message to every connection but its sender's.
type bareServer struct {
	order sync.Mutex // one message at a time

	mu      sync.Mutex // guards members
	members map[*websocket.Conn]bool
	seq     int64 // guarded by order
}

func (b *bareServer) serve(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	ctx := context.WithoutCancel(r.Context()) // a connection outlives its handshake; a cancellable context costs on every frame
	if conn.Write(ctx, websocket.MessageText, []byte(`{"type":"hello","data":{}}`)) != nil {
		return
	}
	b.mu.Lock()
	b.members[conn] = true
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		delete(b.members, conn)
		b.mu.Unlock()
	}()
	for {
		_, data, err := conn.Read(ctx)
		if err != nil {
			return
		}
		if rawws.IsType(data, "message") {
			b.broadcast(ctx, conn, data)
		} else if conn.Write(ctx, websocket.MessageText, []byte(`{"type":"pong"}`)) != nil {
			return
		}
	}
}

// broadcast gives the message a seq and writes it to all, in the order of the
// seqs.
func (b *bareServer) broadcast(ctx context.Context, sender *websocket.Conn, data []byte) {
	key, _ := rawws.Number(data, keyClientMsgID)
	content, _ := rawws.Number(data, keyContent)
	b.order.Lock()
	defer b.order.Unlock()
	b.seq++
	seq := strconv.FormatInt(b.seq, 10)
	// As long as a message of the server, so that the same bytes travel.
	padding := bytes.Repeat([]byte("x"), 300)
	frame := fmt.Appendf(nil, `{"type":"message","data":{"seq":%s,"content":"%d %s"}}`, seq, content, padding)
	b.mu.Lock()
	members := make([]*websocket.Conn, 0, len(b.members))
	for m := range b.members {
		if m != sender {
			members = append(members, m)
		}
	}
	b.mu.Unlock()
	_ = sender.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"type":"ack","data":{"client_msg_id":"%d","seq":%s}}`, key, seq))
	for _, m := range members {
		_ = m.Write(ctx, websocket.MessageText, frame)
	}
}
