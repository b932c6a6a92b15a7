package task

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// webhook posts signed JSON to the operator's own server. The signature is
// `t=<unix seconds>,v1=<hex>` where v1 is HMAC-SHA256(secret, "<t>.<body>").
type webhook struct {
	url    string
	secret []byte
	client *http.Client
}

func newWebhook(cfg PushConfig) *webhook {
	return &webhook{
		url:    cfg.WebhookURL,
		secret: []byte(cfg.WebhookSecret),
		client: &http.Client{
			Timeout:       cfg.Timeout,
			Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// post sends body as JSON. Anything but a 2xx is an error.
// X-GoChat-Delivery is the same in each attempt of one job.
func (w *webhook) post(ctx context.Context, job int64, body any) error {
	payload, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode webhook body: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(payload))
	if err != nil {
		return fmt.Errorf("make webhook request: %w", withoutURL(err))
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "GoChat")
	req.Header.Set("X-GoChat-Delivery", strconv.FormatInt(job, 10))
	req.Header.Set("X-GoChat-Signature", sign(w.secret, time.Now(), payload))
	resp, err := w.client.Do(req)
	if err != nil {
		return fmt.Errorf("call the webhook: %w", withoutURL(err))
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // so that the connection can be used again
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("the webhook answered %d", resp.StatusCode)
	}
	return nil
}

func (w *webhook) close() { w.client.CloseIdleConnections() }

func sign(secret []byte, now time.Time, body []byte) string {
	t := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// withoutURL drops the URL, which may hold a token, from an error that is stored and logged.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
