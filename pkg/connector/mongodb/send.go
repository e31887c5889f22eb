package mongodb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"
)

const (
	// firstTimeout bounds a try; one that is not done by then gives the next one twice the time.
	firstTimeout = 15 * time.Second
	maxTimeout   = 4 * time.Minute
	// The pauses between tries.
	firstPause, maxPause = 50 * time.Millisecond, 5 * time.Second
	// upsertTries is how often an upsert is sent that meets another one of its _id.
	upsertTries = 5
)

// run sends the bulks, beside the caller.
func (w *Writer) run(ctx context.Context) {
	defer close(w.ended)
	w.fail(w.greet(ctx))
	for b := range w.queue {
		if w.failure() == nil {
			w.fail(w.write(ctx, b.documents))
		}
		close(b.done)
	}
}

func (w *Writer) fail(err error) {
	if access, ok := errors.AsType[*AccessError](err); ok {
		access.Where = w.config.where()
	} else if err != nil {
		err = fmt.Errorf("write to %s: %w", w.config.where(), err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = err
}

// greet connects, so that credentials that do not hold are known before the first document.
func (w *Writer) greet(ctx context.Context) error {
	return w.persist(ctx, func(ctx context.Context) (again, fatal error) {
		if err := w.client.Ping(ctx, nil); err != nil {
			v := w.judge(err)
			return v.again, errors.Join(v.fatal, v.split)
		}
		return nil, nil
	})
}

// persist calls try until it returns no error or a fatal one, with longer and longer pauses.
func (w *Writer) persist(ctx context.Context, try func(ctx context.Context) (again, fatal error)) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = firstPause, maxPause
	for limit := firstTimeout; ; {
		limited, cancel := context.WithTimeout(ctx, limit)
		w.health.begin()
		again, fatal := try(limited)
		late := limited.Err() != nil
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if fatal != nil || again == nil {
			w.health.end("")
			return fatal
		}
		w.health.end(w.explain(again))
		if late {
			limit = min(2*limit, maxTimeout)
		}
		select {
		case <-time.After(pause.NextBackOff()):
		case <-ctx.Done():
		}
	}
}

// explain says why a try was in vain.
func (w *Writer) explain(err error) string {
	where := strings.Join(w.config.client.Hosts, ",")
	if _, none := errors.AsType[topology.ServerSelectionError](err); none {
		if address, fault := w.health.fault(); fault != nil {
			where, err = address, fault
		}
	}
	return fmt.Sprintf("%s: %s; retrying", where, reason(err))
}

// judge is judge, with what the driver's own questions to the servers have met.
func (w *Writer) judge(err error) verdict {
	v := judge(err)
	if _, none := errors.AsType[topology.ServerSelectionError](v.again); none {
		if _, fault := w.health.fault(); fault != nil && refusedByTLS(fault) {
			return verdict{fatal: &AccessError{Err: fault}}
		}
	}
	return v
}

// write writes documents until the database has them or has refused them.
func (w *Writer) write(ctx context.Context, documents []Document) error {
	if w.config.upserts {
		documents = newest(documents)
	}
	var split error
	tries := 0
	err := w.persist(ctx, func(ctx context.Context) (again, fatal error) {
		tries++
		v := w.try(ctx, documents)
		if split = v.split; split != nil || v.fatal != nil {
			return nil, v.fatal
		}
		documents, again, fatal = w.settle(ctx, documents, v, tries)
		return again, fatal
	})
	if err != nil || split == nil {
		return err
	}
	// The command as a whole was refused. Halves of it show which document is why.
	if len(documents) == 1 {
		w.refuse(documents[0], split)
		return nil
	}
	half := len(documents) / 2
	if err := w.write(ctx, documents[:half]); err != nil {
		return err
	}
	return w.write(ctx, documents[half:])
}

// newest leaves out the documents that a later one of the same _id replaces: the writes of a bulk have no order.
func newest(documents []Document) []Document {
	last := make(map[string]int, len(documents))
	for i, d := range documents {
		last[idOf(d.Body)] = i
	}
	if len(last) == len(documents) {
		return documents
	}
	kept := documents[:0:0]
	for i, d := range documents {
		if last[idOf(d.Body)] == i {
			kept = append(kept, d)
		}
	}
	return kept
}

// idOf returns type and bytes of a document's _id.
func idOf(body bson.Raw) string {
	id := body.Lookup("_id")
	return string(id.Type) + string(id.Value)
}

// try sends one bulk.
func (w *Writer) try(ctx context.Context, documents []Document) verdict {
	models := make([]mongo.WriteModel, len(documents))
	for i, d := range documents {
		if w.config.upserts {
			models[i] = mongo.NewReplaceOneModel().SetFilter(bson.D{{Key: "_id", Value: d.Body.Lookup("_id")}}).SetReplacement(d.Body).SetUpsert(true)
		} else {
			models[i] = mongo.NewInsertOneModel().SetDocument(d.Body)
		}
	}
	_, err := w.collection.BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
	if err == nil {
		return verdict{}
	}
	return w.judge(err)
}

// settle refuses documents as the verdict says, and returns those that are to be sent again, and why.
func (w *Writer) settle(ctx context.Context, documents []Document, v verdict, tries int) (left []Document, again, fatal error) {
	var duplicates []int
	again = v.again
	for i, d := range documents {
		duplicate := v.duplicate[i] != nil
		switch {
		case v.refused[i] != nil:
			w.refuse(d, v.refused[i])
		case v.again != nil:
			left = append(left, d)
		case v.repeat[i] != nil:
			left, again = append(left, d), v.repeat[i]
		case duplicate && w.config.upserts && tries < upsertTries:
			left, again = append(left, d), v.duplicate[i] // there was none when it looked, and then another one was faster
		case duplicate && w.config.upserts:
			w.refuse(d, v.duplicate[i])
		case duplicate:
			duplicates = append(duplicates, i)
		}
	}
	if len(duplicates) == 0 {
		return left, again, nil
	}
	stored, err := w.read(ctx, documents, duplicates)
	if err != nil {
		found := w.judge(err)
		for _, i := range duplicates {
			left = append(left, documents[i])
		}
		return left, errors.Join(found.again, again), errors.Join(found.fatal, found.split)
	}
	for _, i := range duplicates {
		switch there, found := stored[idOf(documents[i].Body)]; {
		case found && includes(there, documents[i].Body):
		case found:
			w.refuse(documents[i], fmt.Errorf("%w: %w", errOther, v.duplicate[i]))
		case strings.Contains(v.duplicate[i].Error(), "_id_"): // and now it is gone
			left, again = append(left, documents[i]), v.duplicate[i]
		default: // a unique index of another field
			w.refuse(documents[i], v.duplicate[i])
		}
	}
	return left, again, nil
}

// errOther is why an insert is refused that is no replay.
var errOther = errors.New("there is a document of this _id with other values")

// read returns the stored documents that have the _ids of some.
func (w *Writer) read(ctx context.Context, documents []Document, which []int) (map[string]bson.Raw, error) {
	ids := make(bson.A, len(which))
	for i, at := range which {
		ids[i] = documents[at].Body.Lookup("_id")
	}
	cursor, err := w.collection.Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}})
	if err != nil {
		return nil, err
	}
	var all []bson.Raw
	if err := cursor.All(ctx, &all); err != nil {
		return nil, err
	}
	stored := make(map[string]bson.Raw, len(all))
	for _, document := range all {
		stored[idOf(document)] = document
	}
	return stored, nil
}

// includes reports whether a stored document has all fields of another, with the same values. It may have more: somebody added them.
func includes(stored, document bson.Raw) bool {
	elements, err := document.Elements()
	if err != nil {
		return false
	}
	for _, e := range elements {
		value, err := stored.LookupErr(e.Key())
		if err != nil || !value.Equal(e.Value()) {
			return false
		}
	}
	return true
}
