package token_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/gochat-im/gochat/platform/token"
)

var now = time.Unix(1_790_000_000, 0)

func load(t testing.TB, dir string) *token.Keys {
	t.Helper()
	k, err := token.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sign(t testing.TB, k *token.Keys, c token.Claims) string {
	t.Helper()
	s, err := k.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func claims() token.Claims {
	return token.Claims{UserID: 7, SessionID: 9, IssuedAt: now, ExpiresAt: now.Add(15 * time.Minute)}
}

func TestRoundTripOverRestart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	signed := sign(t, load(t, dir), claims())
	got, err := load(t, dir).Verify(signed, now)
	if err != nil || got != claims() {
		t.Errorf("Verify = %+v, %v", got, err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keys := load(t, dir)
	good := sign(t, keys, claims())
	parts := strings.Split(good, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	var h map[string]any
	if err := json.Unmarshal(header, &h); err != nil {
		t.Fatal(err)
	}
	kid, _ := h["kid"].(string)
	private := privateKey(t, dir)
	public, _ := private.Public().(ed25519.PublicKey)

	resign := func(payload string) string {
		headers := jws.NewHeaders()
		if err := headers.Set(jws.KeyIDKey, kid); err != nil {
			t.Fatal(err)
		}
		s, err := jws.Sign([]byte(payload), jws.WithKey(jwa.EdDSA(), private, jws.WithProtectedHeaders(headers)))
		if err != nil {
			t.Fatal(err)
		}
		return string(s)
	}
	headers := jws.NewHeaders()
	if err := headers.Set(jws.KeyIDKey, kid); err != nil {
		t.Fatal(err)
	}
	confused, err := jws.Sign([]byte(`{"iss":"gochat"}`), jws.WithKey(jwa.HS256(), []byte(public), jws.WithProtectedHeaders(headers)))
	if err != nil {
		t.Fatal(err)
	}
	none := b64([]byte(`{"alg":"none","kid":"` + kid + `"}`))
	flipped := []byte(parts[2])
	flipped[10] ^= 1

	for name, c := range map[string]struct {
		token string
		at    time.Time
		want  error
	}{
		"empty":            {"", now, token.ErrInvalid},
		"garbage":          {"a.b.c", now, token.ErrInvalid},
		"alg none":         {none + "." + parts[1] + ".", now, token.ErrInvalid},
		"public key as HS": {string(confused), now, token.ErrInvalid},
		"other key":        {sign(t, load(t, t.TempDir()), claims()), now, token.ErrInvalid},
		"tampered":         {parts[0] + "." + parts[1] + "." + string(flipped), now, token.ErrInvalid},
		"other payload":    {parts[0] + "." + b64([]byte(`{"iss":"gochat","sub":"1","sid":"1","exp":9999999999}`)) + "." + parts[2], now, token.ErrInvalid},
		"trailing":         {good + ".x", now, token.ErrInvalid},
		"too long":         {good + strings.Repeat("x", token.MaxBytes), now, token.ErrInvalid},
		"other issuer":     {resign(`{"iss":"else","sub":"7","sid":"9","iat":1790000000,"exp":1790000900}`), now, token.ErrInvalid},
		"no expiry":        {resign(`{"iss":"gochat","sub":"7","sid":"9","iat":1790000000}`), now, token.ErrExpired},
		"bad subject":      {resign(`{"iss":"gochat","sub":"-7","sid":"9","iat":1790000000,"exp":1790000900}`), now, token.ErrInvalid},
		"from the future":  {good, now.Add(-time.Minute), token.ErrExpired},
		"expired":          {good, now.Add(15*time.Minute + 6*time.Second), token.ErrExpired},
	} {
		if _, err := keys.Verify(c.token, c.at); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := keys.Verify(good, now.Add(15*time.Minute)); err != nil {
		t.Errorf("within the leeway: %v", err)
	}
}

func TestNewestKeySignsAllVerify(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := sign(t, load(t, dir), claims())
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	second := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := os.WriteFile(filepath.Join(dir, "signing-0002.pem"), second, 0o600); err != nil {
		t.Fatal(err)
	}
	both := load(t, dir)
	fresh := sign(t, both, claims())
	for _, s := range []string{old, fresh} {
		if _, err := both.Verify(s, now); err != nil {
			t.Errorf("Verify after a rotation: %v", err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "signing-0001.pem")); err != nil {
		t.Fatal(err)
	}
	retired := load(t, dir)
	if _, err := retired.Verify(old, now); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("a retired key still verifies: %v", err)
	}
	if _, err := retired.Verify(fresh, now); err != nil {
		t.Errorf("the new key did not sign: %v", err)
	}
	if bytes.Contains(both.JWKS(), []byte(`"d"`)) || bytes.Count(both.JWKS(), []byte(`"kid"`)) != 2 {
		t.Errorf("key set: %s", both.JWKS())
	}
}

func TestLoadRefusesBadKeys(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		want    string
	}{
		"readable by others": {"", 0o644, "chmod 600"},
		"not PEM":            {"secret", 0o600, "not a PEM file"},
		"other PEM":          {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0o600, "signing-0001.pem"},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "signing-0001.pem")
		if err := os.WriteFile(file, []byte(c.content), c.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, c.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := token.Load(dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestOpaque(t *testing.T) {
	t.Parallel()
	a, hash := token.NewOpaque()
	b, _ := token.NewOpaque()
	if a == b || len(a) != 43 || !bytes.Equal(hash, token.HashOpaque(a)) || bytes.Contains(hash, []byte(a)) {
		t.Errorf("NewOpaque: %q, %x", a, hash)
	}
	for _, s := range []string{"", a[:42], a + "A", strings.Repeat("=", 43), strings.Repeat("A", 5000)} {
		if token.HashOpaque(s) != nil {
			t.Errorf("HashOpaque(%q) is not nil", s)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	k := load(b, b.TempDir())
	s := sign(b, k, claims())
	for b.Loop() {
		if _, err := k.Verify(s, now); err != nil {
			b.Fatal(err)
		}
	}
}

func privateKey(t testing.TB, dir string) ed25519.PrivateKey {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "signing-0001.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(raw)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		t.Fatalf("%T", key)
	}
	return private
}
