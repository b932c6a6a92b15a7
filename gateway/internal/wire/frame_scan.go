package wire

import (
	"unicode/utf16"
	"unicode/utf8"

	"github.com/gochat-im/gochat/platform/errs"
)

const maxDepth = 8

// scanner reads strict JSON (RFC 8259) of a frame without building a tree.
type scanner struct {
	b []byte
	i int
}

func (s *scanner) fail(what string) error {
	return errs.New(errs.Invalid, "the frame is not valid JSON: %s at byte %d", what, s.i)
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// peek returns the next byte that is no white space, 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) expect(c byte) error {
	if s.peek() != c {
		return s.fail("'" + string(rune(c)) + "' expected")
	}
	s.i++
	return nil
}

// next moves to the next member of an object: false at its end.
func (s *scanner) next(first bool) (more bool, err error) {
	switch c := s.peek(); {
	case c == '}':
		s.i++
		return false, nil
	case first:
		return true, nil
	case c == ',':
		s.i++
		return true, nil
	}
	return false, s.fail("',' or '}' expected")
}

// key reads a member's name and the colon after it.
func (s *scanner) key() ([]byte, error) {
	if s.peek() != '"' {
		return nil, s.fail("a member's name expected")
	}
	k, err := s.text()
	if err != nil {
		return nil, err
	}
	return k, s.expect(':')
}

// text reads a string. The result is part of the input unless it held escapes.
func (s *scanner) text() ([]byte, error) {
	s.i++ // the quote
	start, ascii := s.i, true
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			raw := s.b[start:s.i]
			s.i++
			if !ascii && !utf8.Valid(raw) {
				return nil, s.fail("a string is not UTF-8")
			}
			return raw, nil
		case c == '\\':
			return s.escaped(start)
		case c < 0x20:
			return nil, s.fail("a control character in a string")
		case c >= utf8.RuneSelf:
			ascii = false
		}
		s.i++
	}
	return nil, s.fail("a string does not end")
}

// escaped goes on where text met the first backslash.
func (s *scanner) escaped(start int) ([]byte, error) {
	out := append(make([]byte, 0, s.i-start+64), s.b[start:s.i]...)
	for s.i < len(s.b) {
		c := s.b[s.i]
		switch {
		case c == '"':
			s.i++
			if !utf8.Valid(out) {
				return nil, s.fail("a string is not UTF-8")
			}
			return out, nil
		case c < 0x20:
			return nil, s.fail("a control character in a string")
		case c != '\\':
			out = append(out, c)
			s.i++
			continue
		}
		r, err := s.escape()
		if err != nil {
			return nil, err
		}
		out = utf8.AppendRune(out, r)
	}
	return nil, s.fail("a string does not end")
}

// escape reads one escape sequence; a surrogate without its other half becomes U+FFFD.
func (s *scanner) escape() (rune, error) {
	if s.i+1 >= len(s.b) {
		return 0, s.fail("a string does not end")
	}
	c := s.b[s.i+1]
	switch c {
	case '"', '\\', '/':
		s.i += 2
		return rune(c), nil
	case 'b':
		s.i += 2
		return '\b', nil
	case 'f':
		s.i += 2
		return '\f', nil
	case 'n':
		s.i += 2
		return '\n', nil
	case 'r':
		s.i += 2
		return '\r', nil
	case 't':
		s.i += 2
		return '\t', nil
	case 'u':
	default:
		return 0, s.fail("an unknown escape")
	}
	r, ok := s.hex(s.i + 2)
	if !ok {
		return 0, s.fail("a malformed \\u escape")
	}
	if r == 0 {
		return 0, s.fail("the character U+0000")
	}
	s.i += 6
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if s.i+1 < len(s.b) && s.b[s.i] == '\\' && s.b[s.i+1] == 'u' {
		if low, ok := s.hex(s.i + 2); ok {
			if full := utf16.DecodeRune(r, low); full != utf8.RuneError {
				s.i += 6
				return full, nil
			}
		}
	}
	return utf8.RuneError, nil
}

func (s *scanner) hex(at int) (rune, bool) {
	if at+4 > len(s.b) {
		return 0, false
	}
	var r rune
	for _, c := range s.b[at : at+4] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// number steps over a number and returns its text.
func (s *scanner) number() ([]byte, error) {
	start := s.i
	if s.i < len(s.b) && s.b[s.i] == '-' {
		s.i++
	}
	if s.i < len(s.b) && s.b[s.i] == '0' {
		s.i++
	} else if !s.digits() {
		return nil, s.fail("a malformed number")
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if !s.digits() {
			return nil, s.fail("a malformed number")
		}
	}
	if s.i < len(s.b) && (s.b[s.i] == 'e' || s.b[s.i] == 'E') {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		if !s.digits() {
			return nil, s.fail("a malformed number")
		}
	}
	return s.b[start:s.i], nil
}

func (s *scanner) digits() bool {
	start := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > start
}

// skip steps over any value, no deeper than maxDepth.
func (s *scanner) skip(depth int) error {
	if depth > maxDepth {
		return s.fail("nested too deep")
	}
	switch c := s.peek(); {
	case c == '"':
		_, err := s.text()
		return err
	case c == '{':
		s.i++
		for first := true; ; first = false {
			more, err := s.next(first)
			if err != nil || !more {
				return err
			}
			if _, err := s.key(); err != nil {
				return err
			}
			if err := s.skip(depth + 1); err != nil {
				return err
			}
		}
	case c == '[':
		return s.skipArray(depth)
	case c == '-' || c >= '0' && c <= '9':
		_, err := s.number()
		return err
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if s.i+len(word) <= len(s.b) && string(s.b[s.i:s.i+len(word)]) == word {
			s.i += len(word)
			return nil
		}
	}
	return s.fail("a value expected")
}

func (s *scanner) skipArray(depth int) error {
	s.i++
	if s.peek() == ']' {
		s.i++
		return nil
	}
	for {
		if err := s.skip(depth + 1); err != nil {
			return err
		}
		switch s.peek() {
		case ']':
			s.i++
			return nil
		case ',':
			s.i++
		default:
			return s.fail("',' or ']' expected")
		}
	}
}
