package gateway

import (
	"errors"
	"testing"

	"github.com/gochat-im/gochat/logic/logicpb"
	"github.com/gochat-im/gochat/platform/errs"
)

// How a socket ends whose first frame is refused tells the client what to do: get a new token, come back, or stop.
func TestRefusedAuthTellsWhatToDo(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	because := func(reason string) error { return errs.New(errs.Unauthorized, "no").With("reason", reason) }
	refusals := map[string]struct {
		err  error
		code int
	}{
		"expired":  {because("expired"), codeTokenExpired},
		"revoked":  {because("revoked"), codeLoggedOut},
		"disabled": {because("disabled"), codeBanned},
		"forged":   {errs.New(errs.Unauthorized, "no"), codeInvalidToken},
		"overload": {errs.New(errs.Unavailable, "no"), codeOverloaded},
		"slow":     {errs.New(errs.Timeout, "no"), codeOverloaded},
		"broken":   {errors.New("broken"), codeServerError},
	}
	h.logic.validate = func(token string) (*logicpb.Identity, error) { return nil, refusals[token].err }
	for token, want := range refusals {
		c, _, err := h.dial("", nil)
		if err != nil {
			t.Fatal(err)
		}
		c.send(`{"type":"auth","data":{"token":"` + token + `"}}`)
		c.expectClose(want.code)
	}
}
