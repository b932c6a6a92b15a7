// Package password hashes passwords with argon2id into PHC strings and checks
// them, with bounded concurrency: each hash takes the memory that it is
// configured to take, so a flood of logins queues instead of exhausting it.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/sync/semaphore"

	"github.com/gochat-im/gochat/platform/errs"
)

// Config sets the cost of a hash and how many are made at once.
type Config struct {
	MemoryKiB   uint32 `koanf:"memory_kib"`
	Passes      uint32 `koanf:"passes"`
	Concurrency int    `koanf:"concurrency"` // hashes at once; 0: one a processor
	MaxWaiting  int    `koanf:"max_waiting"` // callers that wait for a turn; more are refused
}

// DefaultConfig is the minimum that OWASP's password storage cheat sheet gives for argon2id: 19 MiB, two passes, one lane.
func DefaultConfig() Config {
	return Config{MemoryKiB: 19 << 10, Passes: 2, MaxWaiting: 1000}
}

// Validate reports the first setting that cannot work.
func (c Config) Validate() error {
	switch {
	case c.MemoryKiB < 8 || c.MemoryKiB > 4<<20:
		return errors.New("memory_kib: must be 8 to 4,194,304")
	case c.Passes < 1 || c.Passes > 100:
		return errors.New("passes: must be 1 to 100")
	case c.Concurrency < 0 || c.Concurrency > 1024:
		return errors.New("concurrency: must be 0 to 1,024")
	case c.MaxWaiting < 1 || c.MaxWaiting > 1_000_000:
		return errors.New("max_waiting: must be 1 to 1,000,000")
	}
	return nil
}

const (
	saltBytes = 16
	keyBytes  = 32
	lanes     = 1
)

// Hasher makes and checks hashes. It is safe for concurrent use.
type Hasher struct {
	cfg     Config
	turns   *semaphore.Weighted
	waiting atomic.Int64
	dummy   string
}

// New returns a hasher.
func New(cfg Config) *Hasher {
	n := cfg.Concurrency
	if n == 0 {
		n = runtime.GOMAXPROCS(0)
	}
	h := &Hasher{cfg: cfg, turns: semaphore.NewWeighted(int64(n))}
	h.dummy = encode(params{cfg.MemoryKiB, cfg.Passes, lanes}, make([]byte, saltBytes), make([]byte, keyBytes))
	return h
}

// Hash returns the PHC string of a password with a new salt. Errors: errs.Unavailable when too many wait, or ctx's.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if err := h.acquire(ctx); err != nil {
		return "", err
	}
	defer h.turns.Release(1)
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails: crypto/rand aborts the process instead
	p := params{h.cfg.MemoryKiB, h.cfg.Passes, lanes}
	return encode(p, salt, p.key(password, salt, keyBytes)), nil
}

// Verify reports whether a password fits a PHC string, in constant time for the comparison. Errors: errs.Unavailable
// when too many wait, ctx's, or a malformed hash.
func (h *Hasher) Verify(ctx context.Context, hash, password string) (bool, error) {
	p, salt, want, err := parse(hash)
	if err != nil {
		return false, err
	}
	if err := h.acquire(ctx); err != nil {
		return false, err
	}
	defer h.turns.Release(1)
	got := p.key(password, salt, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

// VerifyDummy takes as long as Verify and fits nothing: for a user that does not exist, so that time tells nothing.
func (h *Hasher) VerifyDummy(ctx context.Context, password string) error {
	_, err := h.Verify(ctx, h.dummy, password)
	return err
}

// NeedsRehash reports whether a hash was made with other costs than the present ones.
func (h *Hasher) NeedsRehash(hash string) bool {
	p, _, _, err := parse(hash)
	return err != nil || p != params{h.cfg.MemoryKiB, h.cfg.Passes, lanes}
}

func (h *Hasher) acquire(ctx context.Context) error {
	if h.turns.TryAcquire(1) {
		return nil
	}
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > int64(h.cfg.MaxWaiting) {
		return errs.New(errs.Unavailable, "too many logins at once").RetryAfter(time.Second)
	}
	if err := h.turns.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("wait for a turn to hash: %w", err)
	}
	return nil
}

// params are the costs of one hash.
type params struct {
	memoryKiB, passes uint32
	lanes             uint8
}

func (p params) key(password string, salt []byte, n uint32) []byte {
	return argon2.IDKey([]byte(password), salt, p.passes, p.memoryKiB, p.lanes, n)
}

// encode writes the PHC string format: https://github.com/P-H-C/phc-string-format.
func encode(p params, salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, p.memoryKiB, p.passes, p.lanes, b64.EncodeToString(salt), b64.EncodeToString(key))
}

func parse(hash string) (p params, salt, key []byte, err error) {
	malformed := errors.New("malformed password hash")
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, nil, nil, malformed
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memoryKiB, &p.passes, &p.lanes); err != nil {
		return p, nil, nil, malformed
	}
	if salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return p, nil, nil, malformed
	}
	if key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(key) < 16 || p.passes == 0 || p.lanes == 0 {
		return p, nil, nil, malformed
	}
	return p, salt, key, nil
}
