package logic

import (
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo/repopb"
)

const (
	maxUsername     = 32
	minPassword     = 8
	maxPassword     = 128 // argon2id takes any length; this bounds the work of a request
	maxNickname     = 64
	maxAvatar       = 512
	maxEmail        = 254 // RFC 5321, section 4.5.3.1.3, less the brackets
	maxGroupName    = 64
	maxDescription  = 1000
	maxClientMsgID  = 64
	maxDevice       = 128
	maxPlatform     = 32
	maxListLimit    = 100
	defaultLimit    = 50
	maxUsersPerCall = 1000
)

var usernamePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{2,31}$`)

// commonPasswords are those that every guessing list starts with and that are long enough otherwise.
var commonPasswords = []string{
	"password", "password1", "password123", "passw0rd", "12345678", "123456789", "1234567890", "qwertyui", "qwerty123", "qwertyuiop",
	"iloveyou", "11111111", "00000000", "abc12345", "abcd1234", "sunshine", "princess", "football", "letmein1", "1q2w3e4r", "1qaz2wsx", "admin123", "openIM123",
}

func checkUsername(name string) error {
	if !usernamePattern.MatchString(name) {
		return errs.InvalidField("username", "must be 3 to 32 of a-z, A-Z, 0-9, _ . - and start with a letter or digit")
	}
	return nil
}

func checkPassword(field, password, username string) error {
	switch n := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password):
		return errs.InvalidField(field, "must be UTF-8")
	case n < minPassword || n > maxPassword:
		return errs.InvalidField(field, "must be %d to %d characters", minPassword, maxPassword)
	case strings.EqualFold(password, username):
		return errs.InvalidField(field, "must not be the username")
	case slices.ContainsFunc(commonPasswords, func(c string) bool { return strings.EqualFold(c, password) }):
		return errs.InvalidField(field, "is one of the most common passwords")
	}
	return nil
}

func checkEmail(email string) error {
	if email == "" {
		return nil
	}
	a, err := mail.ParseAddress(email)
	if err != nil || a.Address != email || len(email) > maxEmail || !strings.Contains(email, "@") {
		return errs.InvalidField("email", "is not an e-mail address")
	}
	return nil
}

// checkText accepts up to maximum characters of a single line, or of several with lines.
func checkText(field, text string, minimum, maximum int, lines bool) error {
	n := utf8.RuneCountInString(text)
	if !utf8.ValidString(text) {
		return errs.InvalidField(field, "must be UTF-8")
	}
	if n < minimum || n > maximum {
		return errs.InvalidField(field, "must be %d to %d characters", minimum, maximum)
	}
	if minimum > 0 && strings.TrimSpace(text) == "" {
		return errs.InvalidField(field, "must not be blank")
	}
	for _, r := range text {
		if laidOut := lines && (r == '\n' || r == '\t'); unicode.IsControl(r) && !laidOut {
			return errs.InvalidField(field, "must not contain control characters")
		}
	}
	return nil
}

// messageTypes are those that clients may send: system is the server's own.
var messageTypes = []string{"text", "image", "file", "audio", "video", "location", "custom"}

// checkMessage holds a client's message to the contract, membership aside.
func (s *Service) checkMessage(m *repopb.NewMessage) error {
	switch {
	case m.GetConversationId() <= 0:
		return errs.InvalidField("conversation_id", "must be an id")
	case m.GetClientMsgId() == "" || len(m.GetClientMsgId()) > maxClientMsgID:
		return errs.InvalidField("client_msg_id", "must be 1 to %d bytes", maxClientMsgID)
	case !utf8.ValidString(m.GetClientMsgId()) || strings.ContainsFunc(m.GetClientMsgId(), unicode.IsControl):
		return errs.InvalidField("client_msg_id", "must be UTF-8 without control characters")
	case !slices.Contains(messageTypes, m.GetMessageType()):
		return errs.InvalidField("message_type", "must be one of %s", strings.Join(messageTypes, ", "))
	}
	return s.checkContent(m.GetContent())
}

func (s *Service) checkContent(content string) error {
	switch {
	case content == "":
		return errs.InvalidField("content", "must not be empty")
	case len(content) > s.cfg.MaxMessageBytes:
		return errs.New(errs.TooLarge, "content: must be at most %d bytes", s.cfg.MaxMessageBytes).With("field", "content")
	case !utf8.ValidString(content) || strings.ContainsRune(content, 0):
		return errs.InvalidField("content", "must be UTF-8 without NUL")
	}
	return nil
}

// pageLimit clamps a list's limit to its maximum; 0 is the default.
func pageLimit(limit int32) (int32, error) {
	switch {
	case limit < 0:
		return 0, errs.InvalidField("limit", "must be positive")
	case limit == 0:
		return defaultLimit, nil
	}
	return min(limit, maxListLimit), nil
}
