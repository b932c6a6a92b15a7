// Package token signs and verifies access tokens (JWTs with EdDSA) with keys
// that it generates at first start, and makes opaque refresh tokens.
package token

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
)

// Keys are the signing keys of a folder: the newest signs, all verify. One PEM (PKCS #8) file a key, mode 0600; the
// names sort by age. A key is retired by removing its file and loading anew. One that is added verifies at once, so that
// processes which sign with it may start one after the other; to sign with it the folder is loaded anew.
type Keys struct {
	dir     string
	signing ed25519.PrivateKey
	signKID string
	oldest  string // kid
	known   atomic.Pointer[verifying]

	mu   sync.Mutex // guards what follows, and writing known
	seen time.Time  // the folder's modification time that known is of
}

// verifying is what verifies; it does not change.
type verifying struct {
	public   map[string]ed25519.PublicKey // by kid
	document []byte
}

// Load reads the keys of a folder, generating the folder and a first key when there is none. A key file that others
// may read is refused.
func Load(dir string) (*Keys, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the key folder: %w", err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.pem"))
	if err != nil {
		return nil, fmt.Errorf("list the key folder: %w", err)
	}
	if len(names) == 0 {
		name, err := generate(dir)
		if err != nil {
			return nil, err
		}
		names = []string{name}
	}
	slices.Sort(names)
	k, public := &Keys{dir: dir}, map[string]ed25519.PublicKey{}
	for _, name := range names {
		key, err := readKey(name)
		if err != nil {
			return nil, err
		}
		k.signing, k.signKID = key, keyID(publicOf(key))
		public[k.signKID] = publicOf(key)
		if k.oldest == "" {
			k.oldest = k.signKID
		}
	}
	document, err := publicSet(public)
	if err != nil {
		return nil, err
	}
	k.known.Store(&verifying{public, document})
	return k, nil
}

// settled is how old a folder's modification time must be to tell of the next change: clocks of file systems tick slowly.
const settled = time.Second

// look takes up the keys that were added to the folder. What cannot be read, a file that is still being copied for
// instance, is tried again the next time.
func (k *Keys) look() *verifying {
	k.mu.Lock()
	defer k.mu.Unlock()
	known := k.known.Load()
	info, err := os.Stat(k.dir)
	if err != nil || info.ModTime().Equal(k.seen) {
		return known
	}
	names, err := filepath.Glob(filepath.Join(k.dir, "*.pem"))
	if err != nil {
		return known
	}
	public, whole := maps.Clone(known.public), true
	for _, name := range names {
		key, err := readKey(name)
		if err != nil {
			whole = false
			continue
		}
		public[keyID(publicOf(key))] = publicOf(key)
	}
	if whole && time.Since(info.ModTime()) > settled {
		k.seen = info.ModTime()
	}
	if len(public) == len(known.public) {
		return known
	}
	document, err := publicSet(public)
	if err != nil {
		return known
	}
	known = &verifying{public, document}
	k.known.Store(known)
	return known
}

func publicOf(key ed25519.PrivateKey) ed25519.PublicKey {
	public, _ := key.Public().(ed25519.PublicKey)
	return public
}

// Oldest is the id of the oldest key: what processes that share a folder have in common while keys are added.
func (k *Keys) Oldest() string { return k.oldest }

// JWKS is the JSON Web Key Set (RFC 7517) of the public keys.
func (k *Keys) JWKS() []byte { return k.look().document }

// generate writes a new key so that a crash leaves either nothing or the whole file. Of several processes that do it
// at once in a shared folder the first one's key is the key of all.
func generate(dir string) (string, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", fmt.Errorf("generate a signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("encode the signing key: %w", err)
	}
	f, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return "", fmt.Errorf("write the signing key: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der}); err != nil {
		return "", fmt.Errorf("write the signing key: %w", err)
	}
	if err := f.Sync(); err != nil {
		return "", fmt.Errorf("write the signing key: %w", err)
	}
	name := filepath.Join(dir, "signing-0001.pem")
	if err := os.Link(f.Name(), name); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("write the signing key: %w", err)
	}
	return name, nil
}

// privateTo is the widest mode of a key file. A file that another user owns is a mounted secret: this process reads it
// through its group.
func privateTo(info os.FileInfo) os.FileMode {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Getuid() {
		return 0o640
	}
	return 0o600
}

func readKey(name string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("read the signing key: %w", err)
	}
	if info.Mode().Perm()&^privateTo(info) != 0 {
		return nil, fmt.Errorf("signing key %s may be read by others (mode %04o): chmod 600 it", name, info.Mode().Perm())
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the signing key: %w", err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("signing key %s is not a PEM file", name)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", name, err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("signing key %s is not an Ed25519 key", name)
	}
	return key, nil
}

// keyID is derived from the key, so that it is the same wherever the key is.
func keyID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

func publicSet(keys map[string]ed25519.PublicKey) ([]byte, error) {
	set := jwk.NewSet()
	for kid, public := range keys {
		key, err := jwk.Import(public)
		if err != nil {
			return nil, fmt.Errorf("make the key set: %w", err)
		}
		for name, value := range map[string]any{jwk.KeyIDKey: kid, jwk.AlgorithmKey: jwa.EdDSA(), jwk.KeyUsageKey: "sig"} {
			if err := key.Set(name, value); err != nil {
				return nil, fmt.Errorf("make the key set: %w", err)
			}
		}
		if err := set.AddKey(key); err != nil {
			return nil, fmt.Errorf("make the key set: %w", err)
		}
	}
	document, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("make the key set: %w", err)
	}
	if strings.Contains(string(document), `"d":`) {
		return nil, errors.New("make the key set: it holds a private key")
	}
	return document, nil
}
