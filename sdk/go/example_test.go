package gochat_test

import (
	"context"
	"fmt"
	"log"

	gochat "github.com/gochat-im/gochat/sdk/go"
)

// Log in, answer every message, and stay connected whatever the network does.
func Example() {
	ctx := context.Background()
	client, err := gochat.New("https://chat.example.org")
	if err != nil {
		log.Fatal(err)
	}
	me, err := client.Login(ctx, gochat.Credentials{Username: "echo", Password: "correct horse battery staple"})
	if err != nil {
		log.Fatal(err)
	}
	session, err := client.Connect(ctx, gochat.SessionConfig{})
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()

	for event := range session.Events() {
		entry, ok := event.(gochat.EntryEvent)
		if !ok || entry.Entry.Kind != gochat.KindMessage || entry.Entry.FromUserID == me.ID {
			continue
		}
		// Start does not wait for the ack, so the loop goes on reading events.
		reply := gochat.Outgoing{ConversationID: entry.Entry.ConversationID, Content: "You said: " + entry.Entry.Content}
		if _, err := session.Start(reply); err != nil {
			log.Print(err)
		}
	}
	fmt.Println("ended:", session.Err())
}

// Page through the newest messages of a conversation.
func ExampleClient_History() {
	client, err := gochat.New("https://chat.example.org", gochat.WithTokens(gochat.Tokens{Access: "…", Refresh: "…"}))
	if err != nil {
		log.Fatal(err)
	}
	query := gochat.HistoryQuery{ConversationID: "387204871236485120", Limit: 50}
	for {
		page, err := client.History(context.Background(), query)
		if err != nil {
			log.Fatal(err)
		}
		for _, message := range page.Messages {
			fmt.Println(message.Seq, message.Content)
		}
		if !page.HasMore {
			return
		}
		query.BeforeSeq = page.Messages[0].Seq
	}
}
