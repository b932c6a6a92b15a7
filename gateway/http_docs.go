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

// mountDocs serves the document of the API as JSON, YAML and a page. All three
// are made once, here; the page loads nothing.
func (s *Server) mountDocs(mux chi.Router, document *huma.OpenAPI) {
	asJSON, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("encode the OpenAPI document: %v", err))
	}
	asYAML, err := document.YAML()
	if err != nil {
		panic(fmt.Sprintf("encode the OpenAPI document: %v", err))
	}
	page, err := renderDocs(document)
	if err != nil {
		panic(fmt.Sprintf("render the documentation: %v", err))
	}
	hash := sha256.Sum256([]byte(docsStyle))
	policy := "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-" +
		base64.StdEncoding.EncodeToString(hash[:]) + "'"

	mux.Get(documentPath+".json", static("application/json", asJSON, ""))
	mux.Get(documentPath+".yaml", static("application/yaml", asYAML, ""))
	mux.Get(docsPath, static("text/html; charset=utf-8", page, policy))
}

// static serves bytes that change with the version only.
func static(contentType string, body []byte, policy string) http.HandlerFunc {
	sum := sha256.Sum256(body)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	return func(w http.ResponseWriter, r *http.Request) {
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
