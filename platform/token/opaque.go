package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// opaqueBytes is the entropy of an opaque token: 256 bits.
const opaqueBytes = 32

// NewOpaque returns a new opaque token (43 characters, base64url) and the hash under which it is stored. A fast hash is
// right here: the token is random, there is nothing to guess.
func NewOpaque() (token string, hash []byte) {
	b := make([]byte, opaqueBytes)
	_, _ = rand.Read(b) // never fails: crypto/rand aborts the process instead
	token = base64.RawURLEncoding.EncodeToString(b)
	return token, HashOpaque(token)
}

// HashOpaque returns the hash under which an opaque token is stored. Nil for what NewOpaque cannot have made.
func HashOpaque(token string) []byte {
	if b, err := base64.RawURLEncoding.Strict().DecodeString(token); err != nil || len(b) != opaqueBytes {
		return nil
	}
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
