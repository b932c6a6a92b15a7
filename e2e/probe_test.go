package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// probe finds out whether a deployment serves: a message that is sent at each gateway reaches sockets at all of them.
type probe struct {
	d        *deployment
	from, to *account
	chat     string
	n        int
}

const probePatience = 3 * time.Second // of one try

func newProbe(t *testing.T, d *deployment) *probe {
	t.Helper()
	p := &probe{d: d, from: register(t, d, "prober"), to: register(t, d, "probed")}
	p.chat = single(t, p.from, p.to)
	return p
}

func (p *probe) serves(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	sockets := make([]*websocket.Conn, 0, len(p.d.gateways))
	defer func() {
		for _, c := range sockets {
			_ = c.CloseNow()
		}
	}()
	for _, g := range p.d.gateways {
		if err := p.ready(ctx, g); err != nil {
			return err
		}
		header := http.Header{"Authorization": {"Bearer " + p.to.token}}
		c, resp, err := websocket.Dial(ctx, "ws://"+g.address+"/ws", &websocket.DialOptions{HTTPHeader: header})
		if err != nil {
			return fmt.Errorf("open a socket at %s: %w", g.name, err)
		}
		if resp.Body != nil {
			resp.Body.Close()
		}
		sockets = append(sockets, c)
		if _, _, err := c.Read(ctx); err != nil {
			return fmt.Errorf("hello of %s: %w", g.name, err)
		}
	}
	for _, g := range p.d.gateways {
		p.n++
		content := fmt.Sprint("probe ", p.n)
		if err := p.send(ctx, g, content); err != nil {
			return err
		}
		for i, c := range sockets {
			if err := awaitContent(ctx, c, content); err != nil {
				return fmt.Errorf("from %s to %s: %w", g.name, p.d.gateways[i].name, err)
			}
		}
	}
	return nil
}

func (p *probe) ready(ctx context.Context, g *process) error {
	return p.do(ctx, g, http.MethodGet, "/readyz", nil)
}

func (p *probe) send(ctx context.Context, g *process, content string) error {
	raw, err := json.Marshal(map[string]any{"conversation_id": p.chat, "content": content, "message_type": "text", "client_msg_id": content})
	if err != nil {
		return err
	}
	return p.do(ctx, g, http.MethodPost, "/api/v1/messages/send", raw)
}

func (p *probe) do(ctx context.Context, g *process, method, path string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+g.address+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+p.from.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s at %s: %d %s", path, g.name, resp.StatusCode, answer)
	}
	return err
}

// awaitContent reads until a message has the content.
func awaitContent(ctx context.Context, c *websocket.Conn, content string) error {
	for {
		_, raw, err := c.Read(ctx)
		if err != nil {
			return errors.Join(fmt.Errorf("%q did not arrive", content), err)
		}
		var f frame
		if err := json.Unmarshal(raw, &f); err != nil {
			return err
		}
		if f.Type == "message" && str(f.Data, "content") == content {
			return nil
		}
	}
}
