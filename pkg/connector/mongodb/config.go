// Package mongodb is the MongoDB sink: a Writer sends the documents of one subtask in unordered bulk writes.
//
// Exactly once rests on the documents' _id, which a replay makes anew: an upsert writes the same document again, and an insert that finds
// its document there is done. So nothing has to be committed: a checkpoint only waits until the database has what came before it.
package mongodb

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"pencere/pkg/plan"
)

// Config is a checked plan.MongoSink. It is immutable; Writers may share it.
type Config struct {
	sink    plan.MongoSink
	upserts bool
	client  *options.ClientOptions
}

// selection is how long a try looks for a server that takes writes, unless the URI says otherwise.
const selection = 2 * time.Second

// appName is what the database's own tools show its clients by, unless the URI says otherwise.
const appName = "pencere"

// NewConfig checks a sink, reads the files that its URI names, and asks DNS about a mongodb+srv one. upserts is the mode that holds.
// No error has the password.
func NewConfig(sink plan.MongoSink, upserts bool) (Config, error) {
	client := options.Client().ApplyURI(sink.URI)
	if err := client.Validate(); err != nil {
		return Config{}, fmt.Errorf("sink.mongodb.uri: %w", conceal(err, sink.URI))
	}
	switch {
	case client.WriteConcern == nil || client.WriteConcern.W == nil:
		majority := writeconcern.Majority()
		if client.WriteConcern != nil {
			majority.Journal = client.WriteConcern.Journal
		}
		client.SetWriteConcern(majority)
	case !client.WriteConcern.Acknowledged():
		return Config{}, errors.New("sink.mongodb.uri: w=0 asks the database not to say whether it has a document; leave it out for majority")
	}
	if client.ServerSelectionTimeout == nil {
		client.SetServerSelectionTimeout(selection)
	}
	if client.AppName == nil {
		client.SetAppName(appName)
	}
	client.SetReadPreference(readpref.Primary()) // what is read back was written there
	return Config{sink: sink, upserts: upserts, client: client}, nil
}

// where names the collection in messages.
func (c Config) where() string {
	return fmt.Sprintf("collection %s.%s at %s", c.sink.Database, c.sink.Collection, strings.Join(c.client.Hosts, ","))
}

// concealed is an error without the secrets that a URI holds.
type concealed struct{ text string }

func (c *concealed) Error() string { return c.text }

// conceal takes the secrets of a URI out of what the driver says of it.
func conceal(err error, uri string) error {
	text := err.Error()
	for _, secret := range secrets(uri) {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return &concealed{text}
}

// secrets are the credentials of a URI, as they are written and as they are meant, the longer ones first. What cannot be cut into its parts
// is one secret.
func secrets(uri string) []string {
	_, rest, _ := strings.Cut(uri, "://")
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return nil
	}
	all := []string{rest[:at]}
	if _, password, found := strings.Cut(rest[:at], ":"); found {
		all = append(all, password)
	}
	for _, written := range slices.Clone(all) {
		if meant, err := url.PathUnescape(written); err == nil {
			all = append(all, meant)
		}
	}
	return slices.DeleteFunc(all, func(secret string) bool { return secret == "" })
}
