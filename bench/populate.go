package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	gochat "github.com/gochat-im/gochat/sdk/go"
)

// populate makes a plan real through the API: slower than seeding, but it
// needs nothing but the address. Registration must be open and not limited.
func (w *world) populate(ctx context.Context, p plan) error {
	run := strings.ToLower(rand.Text()[:8])
	clients := make([]*gochat.Client, p.Users)
	w.Accounts = make([]account, p.Users)
	err := each(ctx, p.Users, func(ctx context.Context, i int) (err error) {
		clients[i], w.Accounts[i], err = register(ctx, w.url, fmt.Sprintf("bench%s%06d", run, i))
		return err
	})
	if err != nil {
		return err
	}
	w.Singles = make([]string, len(p.Singles))
	err = each(ctx, len(p.Singles), func(ctx context.Context, i int) error {
		pair := p.Singles[i]
		c, err := clients[pair[0]].CreateSingle(ctx, w.Accounts[pair[1]].ID)
		w.Singles[i] = c.ID
		return err
	})
	if err != nil {
		return err
	}
	for _, members := range p.Groups {
		group, err := clients[members[0]].CreateGroup(ctx, gochat.NewGroup{Name: "bench", JoinPolicy: gochat.JoinOpen, MaxMembers: len(members) + 1000})
		if err != nil {
			return err
		}
		err = each(ctx, len(members)-1, func(ctx context.Context, i int) error {
			_, err := clients[members[i+1]].JoinGroup(ctx, group.ID)
			return err
		})
		if err != nil {
			return err
		}
		w.Groups = append(w.Groups, group.ID)
	}
	return nil
}

// register creates an account and logs it in.
func register(ctx context.Context, url, name string) (*gochat.Client, account, error) {
	client, err := gochat.New(url)
	if err != nil {
		return nil, account{}, err
	}
	password := rand.Text()
	user, err := client.Register(ctx, gochat.Registration{Username: name, Password: password, Email: name + "@example.org"})
	if err != nil {
		return nil, account{}, fmt.Errorf("register %s: %w", name, err)
	}
	if _, err := client.Login(ctx, gochat.Credentials{Username: name, Password: password, Platform: "bench"}); err != nil {
		return nil, account{}, fmt.Errorf("log in %s: %w", name, err)
	}
	return client, account{ID: user.ID, Token: client.Tokens().Access, Name: name, Password: password}, nil
}
