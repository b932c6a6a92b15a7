package gateway

import (
	"log/slog"
	"net/http"
)

// NewHTTPServer returns a server for h that waits for nobody longer than the
// settings say, also for the rest of a body that no handler reads. What net/http
// itself has to complain about goes to log as Debug.
func NewHTTPServer(cfg HTTPConfig, h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: cfg.ReadHeaderTimeout,
		// When it passes the request's context ends, so a call must be over by then.
		ReadTimeout:    cfg.ReadHeaderTimeout + cfg.BodyTimeout + cfg.RequestTimeout,
		WriteTimeout:   cfg.WriteTimeout,
		IdleTimeout:    cfg.IdleTimeout,
		MaxHeaderBytes: cfg.MaxHeaderBytes,

		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
