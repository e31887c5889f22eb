//go:build e2e

package jobs_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// After http-to-kafka and kafka-to-mongo have run, the MongoDB of PENCERE_MONGO has each user of the file PENCERE_USERS once, as it is there,
// and nothing else.
func TestUsersAreInMongo(t *testing.T) {
	text, err := os.ReadFile(os.Getenv("PENCERE_USERS"))
	if err != nil {
		t.Fatalf("PENCERE_USERS is to be the file that the API served: %v", err)
	}
	var want []any
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	client, err := mongo.Connect(options.Client().ApplyURI(os.Getenv("PENCERE_MONGO")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(t.Context()) }() // the test ends
	collection := client.Database("database").Collection("test")
	deadline := time.Now().Add(2 * time.Minute)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		got := documents(t, collection)
		diff := cmp.Diff(want, got)
		if diff == "" {
			return
		}
		if len(got) > len(want) || time.Now().After(deadline) {
			t.Fatalf("%d documents for %d users (-want +got):\n%s", len(got), len(want), diff)
		}
		<-tick.C
	}
}

// documents returns what the collection holds, in the order of the users' ids, as JSON without MongoDB's own ids.
func documents(t *testing.T, collection *mongo.Collection) []any {
	t.Helper()
	cursor, err := collection.Find(t.Context(), bson.D{}, options.Find().SetSort(bson.D{{Key: "id", Value: 1}}))
	if err != nil {
		t.Fatal(err)
	}
	var found []bson.M
	if err := cursor.All(t.Context(), &found); err != nil {
		t.Fatal(err)
	}
	var all []any
	for _, document := range found {
		delete(document, "_id")
		text, err := bson.MarshalExtJSON(document, false, false)
		if err != nil {
			t.Fatal(err)
		}
		var plain any
		if err := json.Unmarshal(text, &plain); err != nil {
			t.Fatal(err)
		}
		all = append(all, plain)
	}
	return all
}
