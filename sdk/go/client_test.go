package gochat_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gochat "github.com/gochat-im/gochat/sdk/go"
)

func serve(t *testing.T, handle http.HandlerFunc, options ...gochat.Option) *gochat.Client {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	c, err := gochat.New(server.URL, append([]gochat.Option{gochat.WithTokens(gochat.Tokens{Access: "a"})}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestErrorsAreTyped(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		header string
		body   string
		want   gochat.Error
	}{
		"of the server": {
			429, "3", `{"code":1007,"message":"slow down","details":{"retry_after_ms":"2500"},"request_id":"r1"}`,
			gochat.Error{Code: gochat.CodeRateLimited, Message: "slow down", RequestID: "r1", RetryAfter: 2500 * time.Millisecond, Status: 429},
		},
		"with the header only": {
			503, "3", `{"code":1009,"message":"busy"}`,
			gochat.Error{Code: gochat.CodeUnavailable, Message: "busy", RequestID: "h", RetryAfter: 3 * time.Second, Status: 503},
		},
		"of a proxy": {
			502, "", `<html>`,
			gochat.Error{Code: gochat.CodeUnavailable, Message: "Bad Gateway", RequestID: "h", Status: 502},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Request-Id", "h")
				if c.header != "" {
					w.Header().Set("Retry-After", c.header)
				}
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			})
			_, err := client.Profile(t.Context())
			got, ok := errors.AsType[*gochat.Error](err)
			if !ok {
				t.Fatal(err)
			}
			if got.Code != c.want.Code || got.Message != c.want.Message || got.RequestID != c.want.RequestID ||
				got.RetryAfter != c.want.RetryAfter || got.Status != c.want.Status {
				t.Fatalf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestOneRefreshForAllWhoNeedIt(t *testing.T) {
	t.Parallel()
	var refreshes atomic.Int64
	var tokens atomic.Int64
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/api/v1/auth/refresh":
			refreshes.Add(1)
			var body map[string]string
			_ = json.NewDecoder(r.Body).Decode(&body)
			if body["refresh_token"] != "r1" {
				t.Errorf("refreshed with %q", body["refresh_token"])
			}
			fmt.Fprint(w, `{"access_token":"new","refresh_token":"r2","expires_in":900}`)
		case r.Header.Get("Authorization") != "Bearer new":
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"code":1002,"message":"expired"}`)
		default:
			fmt.Fprint(w, `{"user":{"id":"7"}}`)
		}
	}, gochat.WithTokens(gochat.Tokens{Access: "old", Refresh: "r1"}), gochat.WithTokenListener(func(gochat.Tokens) { tokens.Add(1) }))
	var calls sync.WaitGroup
	for range 20 {
		calls.Go(func() {
			if user, err := client.Profile(t.Context()); err != nil || user.ID != "7" {
				t.Errorf("%+v, %v", user, err)
			}
		})
	}
	calls.Wait()
	if refreshes.Load() != 1 || tokens.Load() != 1 {
		t.Fatalf("%d refreshes, %d changes of tokens", refreshes.Load(), tokens.Load())
	}
	if got := client.Tokens(); got.Access != "new" || got.Refresh != "r2" || time.Until(got.Expiry) < 14*time.Minute {
		t.Fatalf("%+v", got)
	}
}

func TestWithoutLoginNothingIsCalled(t *testing.T) {
	t.Parallel()
	client := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("called") }, gochat.WithTokens(gochat.Tokens{}))
	if _, err := client.Profile(t.Context()); !errors.Is(err, gochat.ErrNotLoggedIn) {
		t.Fatal(err)
	}
	if _, err := client.Connect(t.Context(), gochat.SessionConfig{}); !errors.Is(err, gochat.ErrNotLoggedIn) {
		t.Fatal(err)
	}
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "chat.example.org", "ftp://x", "http://", "http://[::1"} {
		if _, err := gochat.New(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
		if _, err := gochat.New("https://chat.example.org", gochat.WithServers(bad)); err == nil {
			t.Errorf("%q was taken as another server", bad)
		}
	}
}

func TestHistoryQueries(t *testing.T) {
	t.Parallel()
	zero := int64(0)
	for want, q := range map[string]gochat.HistoryQuery{
		"conversation_id=c":                         {ConversationID: "c"},
		"before_seq=9&conversation_id=c&limit=50":   {ConversationID: "c", BeforeSeq: 9, Limit: 50},
		"after_seq=0&conversation_id=c&include=all": {ConversationID: "c", AfterSeq: &zero, All: true},
	} {
		client := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery != want {
				t.Errorf("got %s, want %s", r.URL.RawQuery, want)
			}
			fmt.Fprint(w, `{"messages":[{"kind":"edit","seq":3,"target_seq":2}],"has_more":true}`)
		})
		page, err := client.History(t.Context(), q)
		if err != nil || !page.HasMore || page.Messages[0].TargetSeq != 2 {
			t.Errorf("%+v, %v", page, err)
		}
	}
}

func TestLiftedMuteIsTheEpoch(t *testing.T) {
	t.Parallel()
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var body map[string]string
		if json.NewDecoder(r.Body).Decode(&body) != nil || body["muted_until"] != "1970-01-01T00:00:00Z" {
			t.Errorf("%s %v", r.URL.Path, body)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	if err := client.UpdateMember(t.Context(), "g", "u", gochat.MemberChange{MutedUntil: &time.Time{}}); err != nil {
		t.Fatal(err)
	}
}
