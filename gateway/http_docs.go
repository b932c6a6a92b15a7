package gateway

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page's template and style
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
)

const (
	documentPath = "/api/v1/openapi"
	docsPath     = "/docs"
)

//go:embed docs/page.html
var docsPage string

//go:embed docs/style.css
var docsStyle string

// mountDocs serves the document of the API as JSON, YAML and a page. Each is
// made when it is first asked for; the page loads nothing.
func (s *Server) mountDocs(mux chi.Router, document *huma.OpenAPI) {
	hash := sha256.Sum256([]byte(docsStyle))
	policy := "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-" +
		base64.StdEncoding.EncodeToString(hash[:]) + "'"

	mux.Get(documentPath+".json", s.static("application/json", "", func() ([]byte, error) { return json.MarshalIndent(document, "", "  ") }))
	mux.Get(documentPath+".yaml", s.static("application/yaml", "", document.YAML))
	mux.Get(docsPath, s.static("text/html; charset=utf-8", policy, func() ([]byte, error) { return renderDocs(document) }))
}

// static serves bytes that change with the version only.
func (s *Server) static(contentType, policy string, render func() ([]byte, error)) http.HandlerFunc {
	once := sync.OnceValues(render)
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := once()
		if err != nil {
			err = fmt.Errorf("render %s: %w", contentType, err)
			s.logError(r.Context(), err)
			writeError(w, r, err)
			return
		}
		sum := sha256.Sum256(body)
		tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
		h := w.Header()
		h.Set("Cache-Control", "public, no-cache")
		h.Set("ETag", tag)
		if policy != "" {
			h.Set("Content-Security-Policy", policy)
		}
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		h.Set("Content-Type", contentType)
		_, _ = w.Write(body) // the client may be gone
	}
}

func renderDocs(document *huma.OpenAPI) ([]byte, error) {
	t, err := template.New("page").Parse(docsPage)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, docsModel{
		Title: document.Info.Title, Version: document.Info.Version, Description: document.Info.Description,
		Style: template.CSS(docsStyle), //nolint:gosec // our own file
		Tags:  docsTags(document), Errors: docsErrors(), Schemas: docsSchemas(document), Frames: docsFrames, Closes: docsCloses,
	})
	return b.Bytes(), err
}
