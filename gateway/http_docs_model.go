package gateway

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// docsModel is what the page's template shows.
type docsModel struct {
	Title, Version, Description string
	Style                       any
	Tags                        []docsTag
	Errors                      []docsError
	Schemas                     []docsSchema
	Frames                      []docsFrame
	Closes                      []docsClose
}

type docsTag struct {
	Name       string
	Operations []docsOperation
}

type docsOperation struct {
	ID, Method, Path, Summary, Description string
	Open                                   bool
	Parameters                             []docsField
	Body                                   []docsField
	BodyName                               string
	Answers                                []docsAnswer
}

type docsField struct {
	Name, In, Type, Link, Doc string
	Required                  bool
}

type docsAnswer struct {
	Status, Description, Type, Link string
	Failure                         bool
}

type docsSchema struct {
	Name   string
	Fields []docsField
}

type docsError struct {
	Code   int
	Name   string
	Status int
}

func docsTags(document *huma.OpenAPI) []docsTag {
	byName := map[string]*docsTag{}
	order := []string{tagAccounts, tagUsers, tagMessages, tagConversations, tagGroups, tagServer}
	for _, name := range order {
		byName[name] = &docsTag{Name: name}
	}
	for _, path := range slices.Sorted(maps.Keys(document.Paths)) {
		for _, op := range operationsOf(document.Paths[path]) {
			t := byName[op.Tags[0]]
			t.Operations = append(t.Operations, docsOperationOf(document, op))
		}
	}
	out := make([]docsTag, len(order))
	for i, name := range order {
		out[i] = *byName[name]
	}
	return out
}

func operationsOf(p *huma.PathItem) (out []*huma.Operation) {
	for _, op := range []*huma.Operation{p.Get, p.Post, p.Put, p.Delete} {
		if op != nil {
			out = append(out, op)
		}
	}
	return out
}

func docsOperationOf(document *huma.OpenAPI, op *huma.Operation) docsOperation {
	out := docsOperation{ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary, Description: op.Description, Open: len(op.Security) == 0}
	for _, p := range op.Parameters {
		f := docsFieldOf(p.Name, p.Schema, p.Required)
		f.In, f.Doc = p.In, cmp.Or(p.Description, f.Doc)
		out.Parameters = append(out.Parameters, f)
	}
	if op.RequestBody != nil {
		schema := op.RequestBody.Content["application/json"].Schema
		out.BodyName = refName(schema)
		out.Body = docsFields(document.Components.Schemas.SchemaFromRef(schema.Ref))
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		r := op.Responses[status]
		a := docsAnswer{Status: status, Description: r.Description, Failure: status >= "400"}
		if c := r.Content["application/json"]; c != nil {
			a.Type, a.Link = schemaType(c.Schema)
		}
		out.Answers = append(out.Answers, a)
	}
	return out
}

func docsSchemas(document *huma.OpenAPI) []docsSchema {
	all := document.Components.Schemas.Map()
	out := make([]docsSchema, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, docsSchema{Name: name, Fields: docsFields(all[name])})
	}
	return out
}

// docsFields lists an object's properties, the required ones first.
func docsFields(s *huma.Schema) []docsField {
	out := make([]docsField, 0, len(s.Properties))
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		out = append(out, docsFieldOf(name, s.Properties[name], slices.Contains(s.Required, name)))
	}
	slices.SortStableFunc(out, func(a, b docsField) int {
		switch {
		case a.Required == b.Required:
			return 0
		case a.Required:
			return -1
		default:
			return 1
		}
	})
	return out
}

func docsFieldOf(name string, s *huma.Schema, required bool) docsField {
	f := docsField{Name: name, Required: required, Doc: s.Description}
	f.Type, f.Link = schemaType(s)
	var notes []string
	if len(s.Enum) > 0 {
		values := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			values[i] = fmt.Sprintf("%q", v)
		}
		notes = append(notes, "One of "+strings.Join(values, ", ")+".")
	}
	if s.Default != nil {
		notes = append(notes, fmt.Sprintf("Default %v.", s.Default))
	}
	f.Doc = strings.TrimSpace(strings.Join(append([]string{f.Doc}, notes...), " "))
	return f
}

func refName(s *huma.Schema) string { return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:] }

// schemaType names a schema's type, and the schema that it refers to.
func schemaType(s *huma.Schema) (name, link string) {
	switch {
	case s.Ref != "":
		return refName(s), refName(s)
	case len(s.OneOf) > 0:
		names := make([]string, len(s.OneOf))
		for i, one := range s.OneOf {
			names[i], _ = schemaType(one)
		}
		return strings.Join(names, " or "), ""
	case s.Type == huma.TypeArray && s.Items != nil:
		name, link = schemaType(s.Items)
		return "list of " + name, link
	case s.Format == "date-time":
		return "time", ""
	case s.PatternDescription != "" && s.Type == huma.TypeString:
		what, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(s.PatternDescription, "an "), "a "), ":")
		return what, ""
	}
	return s.Type, ""
}

func docsErrors() []docsError {
	out := make([]docsError, 0, len(statuses))
	for code, status := range statuses {
		out = append(out, docsError{Code: int(code), Name: code.String(), Status: status})
	}
	slices.SortFunc(out, func(a, b docsError) int { return cmp.Compare(a.Code, b.Code) })
	return out
}
