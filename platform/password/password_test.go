package password_test

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/password"
)

func cheap() password.Config {
	return password.Config{MemoryKiB: 64, Passes: 1, Concurrency: 1, MaxWaiting: 1}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	h := password.New(cheap())
	first, err := h.Hash(t.Context(), "secret")
	if err != nil {
		t.Fatal(err)
	}
	second, err := h.Hash(t.Context(), "secret")
	if err != nil {
		t.Fatal(err)
	}
	if first == second {
		t.Error("two hashes of one password are equal: no salt")
	}
	for guess, want := range map[string]bool{"secret": true, "Secret": false, "": false, "secret\x00": false} {
		if ok, err := h.Verify(t.Context(), first, guess); ok != want || err != nil {
			t.Errorf("Verify(%q) = %v, %v; want %v", guess, ok, err, want)
		}
	}
	if err := h.VerifyDummy(t.Context(), "secret"); err != nil {
		t.Errorf("VerifyDummy: %v", err)
	}
}

func TestDefaultIsOWASPMinimum(t *testing.T) {
	t.Parallel()
	h := password.New(password.DefaultConfig())
	hash, err := h.Hash(t.Context(), "secret")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") || argon2.Version != 19 {
		t.Errorf("hash is %s", hash)
	}
}

func TestNeedsRehash(t *testing.T) {
	t.Parallel()
	old := password.New(cheap())
	hash, err := old.Hash(t.Context(), "secret")
	if err != nil {
		t.Fatal(err)
	}
	stronger := cheap()
	stronger.Passes = 2
	if old.NeedsRehash(hash) || !password.New(stronger).NeedsRehash(hash) {
		t.Error("NeedsRehash is wrong about the costs")
	}
	if ok, err := password.New(stronger).Verify(t.Context(), hash, "secret"); !ok || err != nil {
		t.Errorf("a hash of other costs does not verify: %v, %v", ok, err)
	}
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	h := password.New(cheap())
	for _, hash := range []string{
		"", "secret", "$argon2i$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA", "$argon2id$v=18$m=64,t=1,p=1$AAAA$AAAA",
		"$argon2id$v=19$m=64,t=0,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=64,t=1,p=1$!$AAAA", "$argon2id$v=19$m=64,t=1,p=1$AAAA$",
	} {
		if ok, err := h.Verify(t.Context(), hash, ""); ok || err == nil {
			t.Errorf("Verify of %q = %v, %v; want an error", hash, ok, err)
		}
	}
}

func TestWaitingIsBounded(t *testing.T) {
	t.Parallel()
	slow := password.Config{MemoryKiB: 64 << 10, Passes: 8, Concurrency: 1, MaxWaiting: 1}
	h := password.New(slow)
	const callers = 4
	results := make(chan error, callers)
	for range callers {
		go func() { results <- h.VerifyDummy(t.Context(), "x") }()
	}
	refused := 0
	for range callers {
		if err := <-results; errors.Is(err, errs.New(errs.Unavailable, "")) {
			refused++
		} else if err != nil {
			t.Error(err)
		}
	}
	if refused == 0 {
		t.Error("four callers, one turn and one place to wait: none was refused")
	}
}
