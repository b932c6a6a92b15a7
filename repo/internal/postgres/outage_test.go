package postgres

import (
	"fmt"
	"testing"
	"time"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/testenv"
	"github.com/gochat-im/gochat/repo/internal/sqlstore"
	"github.com/gochat-im/gochat/repo/repopb"
)

// TestOutageIsUnavailableAndPasses kills the server under writes: what was acknowledged is there afterwards, what was not
// can be sent again, and nothing needs to be restarted.
func TestOutageIsUnavailableAndPasses(t *testing.T) {
	t.Parallel()
	server := testenv.PostgresServer(t)
	opt := testOptions(server.URL())
	opt.ConnectTimeout, opt.StatementTimeout = time.Second, 2*time.Second
	s := openAt(t, opt)
	id := addPair(t, s, 1)
	acknowledged := map[string]int64{}
	try := func(key string) error {
		resp, err := s.CreateMessages(t.Context(), &repopb.CreateMessagesRequest{Messages: []*repopb.NewMessage{text(id, 2, key, "hi")}})
		if err == nil {
			acknowledged[key] = resp.GetResults()[0].GetEvent().GetSeq()
		}
		return err
	}
	for i := range 50 {
		if err := try(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	server.Kill()
	if err := try("down"); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("a write without a server: %v", err)
	}
	_, err := s.Messages(t.Context(), &repopb.GetMessagesRequest{ConversationId: id, UserId: 2, Limit: 10})
	if errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("a read without a server: %v", err)
	}
	if _, err := s.CreateUser(t.Context(), &repopb.CreateUserRequest{User: &repopb.User{Username: "x"}}); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("another write without a server: %v", err)
	}
	server.Start()
	if err := try("down"); err != nil {
		t.Errorf("the first write after it: %v", err)
	}
	page, err := s.Messages(t.Context(), &repopb.GetMessagesRequest{ConversationId: id, UserId: 2, AfterSet: true, Limit: 1000})
	if err != nil || len(page.GetEvents()) != len(acknowledged) {
		t.Fatalf("%d messages of %d, %v", len(page.GetEvents()), len(acknowledged), err)
	}
	for i, ev := range page.GetEvents() {
		if ev.GetSeq() != int64(i+1) {
			t.Errorf("entry %d: %v", i, ev)
		}
	}
}

// TestLockThatIsNotGivenUpIsUnavailable lets a transaction hold a conversation for longer than a statement may take.
func TestLockThatIsNotGivenUpIsUnavailable(t *testing.T) {
	t.Parallel()
	opt := testOptions(testenv.Postgres(t))
	opt.StatementTimeout = 200 * time.Millisecond
	s := openAt(t, opt)
	id := addPair(t, s, 1)
	running, finish, finished := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		finished <- s.Write(t.Context(), func(tx *sqlstore.Tx) error {
			_, _, err := tx.QueryInt("SELECT 1 FROM conversations WHERE id = ? FOR UPDATE", id)
			close(running)
			<-finish
			return err
		})
	}()
	<-running
	_, err := s.CreateMessages(t.Context(), &repopb.CreateMessagesRequest{Messages: []*repopb.NewMessage{text(id, 2, "a", "hi")}})
	if errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("error: %v", err)
	}
	close(finish)
	if err := <-finished; err != nil {
		t.Fatal(err)
	}
	if ev := send(t, s, text(id, 2, "a", "hi"))[0].GetEvent(); ev.GetSeq() != 1 {
		t.Errorf("after it: %v", ev)
	}
}

// TestFullDiskIsUnavailable refuses every write of messages as a full disk does, in the middle of a transaction.
func TestFullDiskIsUnavailable(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	id := addPair(t, s, 1)
	admin := connect(t, s.opt.URL)
	_, err := admin.Exec(t.Context(), `CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF NEW.content = 'too much' THEN RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END IF; RETURN NEW; END $$;
		CREATE TRIGGER full_disk BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION full_disk()`)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.CreateMessages(t.Context(), &repopb.CreateMessagesRequest{PushOutbox: true, Messages: []*repopb.NewMessage{
		text(id, 2, "a", "fits"), text(id, 2, "b", "too much"),
	}})
	if errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("error: %v", err)
	}
	var messages, outbox int
	if err := admin.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM outbox)").Scan(&messages, &outbox); err != nil || messages+outbox != 0 {
		t.Errorf("%d messages, %d outbox entries, %v: a refused batch is half done", messages, outbox, err)
	}
	if ev := send(t, s, text(id, 2, "a", "fits"))[0].GetEvent(); ev.GetSeq() != 1 {
		t.Errorf("after it: %v", ev)
	}
}
