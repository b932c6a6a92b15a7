package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/gochat-im/gochat/platform/id"
)

const (
	// MaxBytes bounds an access token before anything of it is looked at.
	MaxBytes = 4 << 10
	// leeway forgives clocks of other machines.
	leeway = 5 * time.Second
	issuer = "gochat"
)

// Errors of Verify.
var (
	ErrInvalid = errors.New("invalid token")
	ErrExpired = errors.New("expired token")
)

// Claims are what an access token says.
type Claims struct {
	UserID    int64
	SessionID int64
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// claims is the JSON form, with the registered names of RFC 7519.
type claims struct {
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"`
	SessionID string `json:"sid"`
	IssuedAt  int64  `json:"iat"`
	ExpiresAt int64  `json:"exp"`
	ID        string `json:"jti"`
}

// Sign makes the access token of claims (times to the second).
func (k *Keys) Sign(c Claims) (string, error) {
	payload, err := json.Marshal(claims{
		Issuer: issuer, Subject: id.Format(c.UserID), SessionID: id.Format(c.SessionID),
		IssuedAt: c.IssuedAt.Unix(), ExpiresAt: c.ExpiresAt.Unix(), ID: id.Format(id.New()),
	})
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	headers := jws.NewHeaders()
	for name, value := range map[string]any{jws.KeyIDKey: k.signKID, jws.TypeKey: "JWT"} {
		if err := headers.Set(name, value); err != nil {
			return "", fmt.Errorf("set header: %w", err)
		}
	}
	signed, err := jws.Sign(payload, jws.WithKey(jwa.EdDSA(), k.signing, jws.WithProtectedHeaders(headers)))
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return string(signed), nil
}

// Verify returns the claims of a token that one of the keys signed and that is in force at now. Errors: ErrExpired for
// a token that is good at another time, ErrInvalid for everything else.
func (k *Keys) Verify(token string, now time.Time) (Claims, error) {
	if len(token) > MaxBytes {
		return Claims{}, ErrInvalid
	}
	payload, err := jws.Verify([]byte(token), jws.WithCompact(), jws.WithKeyProvider(jws.KeyProviderFunc(k.named)))
	if err != nil {
		return Claims{}, ErrInvalid
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil || c.Issuer != issuer {
		return Claims{}, ErrInvalid
	}
	user, userErr := id.Parse(c.Subject)
	session, sessionErr := id.Parse(c.SessionID)
	if userErr != nil || sessionErr != nil {
		return Claims{}, ErrInvalid
	}
	// One from the future was issued before the clock was set back: its client can have another.
	expires := time.Unix(c.ExpiresAt, 0)
	if !now.Before(expires.Add(leeway)) || c.IssuedAt > now.Add(leeway).Unix() {
		return Claims{}, ErrExpired
	}
	return Claims{UserID: user, SessionID: session, IssuedAt: time.Unix(c.IssuedAt, 0), ExpiresAt: expires}, nil
}

// named gives jws the key that a token names. The algorithm is ours, whatever the token's header says.
func (k *Keys) named(_ context.Context, sink jws.KeySink, signature *jws.Signature, _ *jws.Message) error {
	kid, _ := signature.ProtectedHeaders().KeyID()
	public, ok := k.known.Load().public[kid]
	if !ok {
		public, ok = k.look().public[kid]
	}
	if !ok {
		return ErrInvalid
	}
	sink.Key(jwa.EdDSA(), public)
	return nil
}
