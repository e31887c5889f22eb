package jobspec

import (
	"time"

	"pencere/pkg/plan"
)

var mongoSinkFields = mapping{
	begin: func(j *plan.Job) { j.Sink.MongoDB = &plan.MongoSink{} },
	fields: []field{
		{name: "uri", required: true, doc: "the connection string, with its options for TLS and credentials; give one that holds a password as a variable, which is shown nowhere",
			shape:    one(text("a connection string"), func(j *plan.Job, v string) { j.Sink.MongoDB.URI = v }),
			examples: []string{"mongodb://localhost:27017", "${MONGO_URI:mongodb://localhost:27017}", "mongodb+srv://cluster0.example.net/?authSource=admin"}},
		{name: "database", required: true, doc: "the database, which is made with its first document",
			shape: one(text("a database"), func(j *plan.Job, v string) { j.Sink.MongoDB.Database = v })},
		{name: "collection", required: true, doc: "the collection, which is made with its first document",
			shape: one(text("a collection"), func(j *plan.Job, v string) { j.Sink.MongoDB.Collection = v })},
		{name: "mode", doc: "insert makes new documents alone, upsert replaces one that has the same _id; when left out, insert, and upsert for a job with a window",
			shape: one(enum(string(plan.MongoInsert), string(plan.MongoUpsert)), func(j *plan.Job, v string) { j.Sink.MongoDB.Mode = plan.MongoMode(v) })},
		{name: "id", doc: "an SQL expression over the columns that select reads that makes the documents' _id; topic-partition-offset of the record when left out, which rows of a window do not have",
			shape: one(anyScalar("an expression"), func(j *plan.Job, v string) { j.Sink.MongoDB.ID = v }), examples: []string{"id", "CAST(window_start AS STRING) || '/' || product"}},
		{name: "document", doc: "a column of type JSON that is the document itself: its members become the fields, and the other columns come behind them; when left out, each column is a field",
			shape: one(text("a column"), func(j *plan.Job, v string) { j.Sink.MongoDB.Document = v }), examples: []string{plan.DocumentColumn}},
		{name: "on_error", doc: "what becomes of a row that the database refuses as a document: fail the job, or hand its record to the dead letters",
			shape: one(enum(string(plan.OnErrorFail), string(plan.OnErrorDeadLetter)),
				func(j *plan.Job, v string) { j.Sink.MongoDB.OnError = plan.OnError(v) }).or(string(plan.OnErrorFail))},
		{name: "bulk", doc: "when documents are sent together; a checkpoint sends all of them", shape: mapping{fields: []field{
			{name: "documents", doc: "so many are sent at once",
				shape: one(positive(plan.MaxBulkDocuments), func(j *plan.Job, v int) { j.Sink.MongoDB.BulkDocuments = v }).or("1000")},
			{name: "interval", doc: "fewer are sent after so long",
				shape: one(duration(), func(j *plan.Job, v time.Duration) { j.Sink.MongoDB.BulkInterval = v }).or("1s")},
		}}},
	},
}
