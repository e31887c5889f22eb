//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pencere/pkg/connector/mongodb"
	"pencere/pkg/plan"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// mongoURI is that of the server that all tests share.
func mongoURI(t testing.TB) string {
	t.Helper()
	uri := os.Getenv("PENCERE_MONGO")
	if uri == "" {
		t.Fatal("PENCERE_MONGO is not set: these tests need the URI of a MongoDB; .ci/e2e starts a server")
	}
	return uri
}

// mongoClient connects to a server until the end of the test.
func mongoClient(t testing.TB, uri string) *mongo.Client {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	return client
}

// mongoDatabase is a database of the shared server that the test has for itself.
func mongoDatabase(t *testing.T) *mongo.Database {
	t.Helper()
	db := mongoClient(t, mongoURI(t)).Database(fmt.Sprintf("test-%d", time.Now().UnixNano()))
	t.Cleanup(func() { _ = db.Drop(context.Background()) })
	return db
}

// everything returns the documents of a collection as JSON, sorted.
func everything(ctx context.Context, t *testing.T, collection *mongo.Collection) []string {
	t.Helper()
	cursor, err := collection.Find(ctx, bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	var documents []bson.Raw
	if err := cursor.All(ctx, &documents); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, d := range documents {
		text, err := bson.MarshalExtJSON(d, false, false)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	slices.Sort(all)
	return all
}

// writeAll writes documents with a Writer of its own, and returns the reasons of those that were refused, by row.
func writeAll(ctx context.Context, t *testing.T, sink plan.MongoSink, upserts bool, documents ...bson.D) map[any]string {
	t.Helper()
	w := openMongo(t, sink, upserts)
	for i, d := range documents {
		body, err := bson.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(ctx, mongodb.Document{Body: body, Row: i}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(ctx); err != nil {
		trouble, lasts := w.Trouble()
		t.Fatalf("%v; trouble for %s: %s", err, lasts, trouble)
	}
	refused := map[any]string{}
	for _, r := range w.Refused() {
		refused[r.Row] = r.Err.Error()
	}
	return refused
}

func openMongo(t testing.TB, sink plan.MongoSink, upserts bool) *mongodb.Writer {
	t.Helper()
	if sink.BulkDocuments == 0 {
		sink.BulkDocuments, sink.BulkInterval = plan.DefaultBulkDocuments, plan.DefaultBulkInterval
	}
	config, err := mongodb.NewConfig(sink, upserts)
	if err != nil {
		t.Fatal(err)
	}
	w, err := mongodb.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// A replay writes what is there, and that changes nothing; a document of others is never taken for it.
func TestMongoReplay(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	db := mongoDatabase(t)
	sink := plan.MongoSink{URI: mongoURI(t), Database: db.Name(), Collection: "replayed"}
	collection := db.Collection("replayed")
	first := []bson.D{
		{{Key: "_id", Value: "t-0-1"}, {Key: "v", Value: int64(1)}, {Key: "in", Value: bson.D{{Key: "b", Value: 1.5}, {Key: "a", Value: bson.A{nil, true}}}}},
		{{Key: "_id", Value: "t-0-2"}, {Key: "v", Value: int64(2)}},
		{{Key: "_id", Value: "t-0-3"}, {Key: "v", Value: int64(3)}},
	}
	if refused := writeAll(ctx, t, sink, false, first...); len(refused) > 0 {
		t.Fatalf("refused: %v", refused)
	}
	// A reader of the collection may mark what it has seen; a stranger may take an _id.
	if _, err := collection.UpdateOne(ctx, bson.D{{Key: "_id", Value: "t-0-1"}}, bson.D{{Key: "$set", Value: bson.D{{Key: "seen", Value: true}}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := collection.InsertOne(ctx, bson.D{{Key: "_id", Value: "t-0-4"}, {Key: "v", Value: "stranger"}}); err != nil {
		t.Fatal(err)
	}
	replayed := append(slices.Clone(first), bson.D{{Key: "_id", Value: "t-0-4"}, {Key: "v", Value: int64(4)}}, bson.D{{Key: "_id", Value: "t-0-5"}, {Key: "v", Value: int64(5)}})
	refused := writeAll(ctx, t, sink, false, replayed...)
	if len(refused) != 1 || !strings.Contains(refused[3], "there is a document of this _id with other values") {
		t.Errorf("refused: %v", refused)
	}
	want := []string{
		`{"_id":"t-0-1","v":1,"in":{"b":1.5,"a":[null,true]},"seen":true}`, `{"_id":"t-0-2","v":2}`, `{"_id":"t-0-3","v":3}`,
		`{"_id":"t-0-4","v":"stranger"}`, `{"_id":"t-0-5","v":5}`,
	}
	if diff := cmp.Diff(want, everything(ctx, t, collection)); diff != "" {
		t.Error(diff)
	}
	if refused := writeAll(ctx, t, sink, true, replayed...); len(refused) > 0 {
		t.Errorf("an upsert is refused: %v", refused)
	}
	want[0], want[3] = `{"_id":"t-0-1","v":1,"in":{"b":1.5,"a":[null,true]}}`, `{"_id":"t-0-4","v":4}`
	if diff := cmp.Diff(want, everything(ctx, t, collection)); diff != "" {
		t.Error(diff)
	}
}

// Of rows with one _id the last one is in the collection, also when a bulk has many of them.
func TestMongoLastUpsert(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	db := mongoDatabase(t)
	var documents []bson.D
	var want []string
	for i := range 5000 {
		documents = append(documents, bson.D{{Key: "_id", Value: int32(i % 7)}, {Key: "v", Value: int32(i)}})
	}
	for id := range 7 {
		last := 4999 - (4999-id)%7
		want = append(want, fmt.Sprintf(`{"_id":%d,"v":%d}`, id, last))
	}
	if refused := writeAll(ctx, t, plan.MongoSink{URI: mongoURI(t), Database: db.Name(), Collection: "c"}, true, documents...); len(refused) > 0 {
		t.Errorf("refused: %v", refused)
	}
	if diff := cmp.Diff(want, everything(ctx, t, db.Collection("c"))); diff != "" {
		t.Error(diff)
	}
}

// What the database refuses is told apart from what it takes, and each with its reason.
func TestMongoRefuses(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	db := mongoDatabase(t)
	if _, err := db.Collection("c").Indexes().CreateOne(ctx, mongo.IndexModel{Keys: bson.D{{Key: "code", Value: 1}}, Options: options.Index().SetUnique(true)}); err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("x", 16<<20-100)
	refused := writeAll(ctx, t, plan.MongoSink{URI: mongoURI(t), Database: db.Name(), Collection: "c"}, false,
		bson.D{{Key: "_id", Value: 0}, {Key: "code", Value: "a"}},
		bson.D{{Key: "_id", Value: 1}, {Key: "code", Value: "a"}},
		bson.D{{Key: "_id", Value: 2}, {Key: "code", Value: "b"}, {Key: "$x", Value: 1}, {Key: "y.z", Value: 1}},
		bson.D{{Key: "_id", Value: bson.A{1}}, {Key: "code", Value: "c"}},
		bson.D{{Key: "_id", Value: 4}, {Key: "code", Value: large}},
		bson.D{{Key: "_id", Value: 5}, {Key: "code", Value: "d"}},
		bson.D{{Key: "_id", Value: 5}, {Key: "code", Value: "e"}},
		bson.D{{Key: "_id", Value: 5}, {Key: "code", Value: "d"}},
	)
	for row, reason := range refused {
		t.Logf("row %v: %.200s", row, reason)
	}
	for row, want := range map[any]string{1: "duplicate key", 6: "other values"} {
		if !strings.Contains(refused[row], want) {
			t.Errorf("row %v: %q does not say %q", row, refused[row], want)
		}
	}
	there := everything(ctx, t, db.Collection("c"))
	if total := len(there) + len(refused); total != 7 { // one is there twice
		t.Errorf("%d of 8 documents are accounted for: %v, %d refused", total, there, len(refused))
	}
}

// A server that is away, or takes nobody, is told from one that lets us not in.
func TestMongoAway(t *testing.T) {
	hosts := strings.TrimPrefix(mongoURI(t), "mongodb://")
	port := freePort(t)
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	for name, c := range map[string]struct{ uri, trouble, fails string }{
		"nobody there":         {uri: "mongodb://127.0.0.1:" + port, trouble: "127.0.0.1:" + port + ": connection refused; retrying"},
		"no such name":         {uri: "mongodb://nobody.invalid", trouble: "nobody.invalid:27017: "},
		"credentials":          {uri: "mongodb://us%C3%A9r:s3cr%40t@" + hosts + "/?authSource=admin", fails: "access refused"},
		"TLS where none is":    {uri: "mongodb://" + hosts + "/?tls=true", trouble: "is tls right in sink.mongodb.uri?; retrying"},
		"a strange CA":         {uri: "mongodb://" + strings.TrimPrefix(secure.URL, "https://") + "/?tls=true", fails: "certificate signed by unknown authority"},
		"a CA that is missing": {uri: "mongodb://u:s3cr%40t@" + hosts + "/?tls=true&tlsCAFile=/nowhere.pem", fails: "/nowhere.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each looks for a server for seconds
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			sink := plan.MongoSink{URI: c.uri, Database: "d", Collection: "c", BulkDocuments: 10, BulkInterval: time.Second}
			trouble := ""
			err := func() error {
				config, err := mongodb.NewConfig(sink, false)
				if err != nil {
					return err
				}
				w, err := mongodb.Open(config)
				if err != nil {
					return err
				}
				defer w.Close()
				return poll(ctx, 5*time.Millisecond, func() (bool, error) {
					trouble, _ = w.Trouble()
					return c.trouble != "" && strings.Contains(trouble, c.trouble), w.Tick(time.Now())
				})
			}()
			switch {
			case c.fails == "" && err != nil:
				t.Errorf("it does not wait for %q: %v", c.trouble, err)
			case c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)):
				t.Errorf("error %v, want one that says %q", err, c.fails)
			case err != nil && (strings.Contains(err.Error(), "s3cr") || errors.Is(err, context.DeadlineExceeded)):
				t.Errorf("error %v", err)
			}
			t.Logf("error: %v; trouble: %s", err, trouble)
		})
	}
}

// A server of another protocol closes the connection.
func TestMongoOtherProtocol(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }() // it ends with the test
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	w := openMongo(t, plan.MongoSink{URI: "mongodb://" + listener.Addr().String(), Database: "d", Collection: "c"}, false)
	want := listener.Addr().String() + ": connection closed by the server; is tls right in sink.mongodb.uri?; retrying"
	trouble := ""
	if err := poll(ctx, 5*time.Millisecond, func() (bool, error) {
		trouble, _ = w.Trouble()
		return trouble == want, nil
	}); err != nil {
		t.Errorf("the trouble is %q, want %q", trouble, want)
	}
}
