package repo_test

import (
	"testing"

	"github.com/gochat-im/gochat/repo/repotest"
)

func TestMessages(t *testing.T) {
	t.Parallel()
	repotest.Messages(t, openGroups)
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	repotest.Accounts(t, openGroups)
}
