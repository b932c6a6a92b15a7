package gateway

import (
	"net"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/gochat-im/gochat/platform/errs"
)

type HTTPConfig struct{}

func DefaultHTTPConfig() HTTPConfig { return HTTPConfig{} }
func (HTTPConfig) Validate() error  { return nil }

func (s *Server) mountHTTP(chi.Router) {}
func (s *Server) clientAddress(r *http.Request) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return host
}

func writeError(w http.ResponseWriter, _ *http.Request, err error) {
	e := errs.From(err)
	http.Error(w, e.Message, http.StatusBadRequest)
}
