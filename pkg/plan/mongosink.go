package plan

import (
	"fmt"
	"strings"
	"time"

	"pencere/pkg/nearest"
	"pencere/pkg/sqltype"
)

// MongoSink writes documents to a collection of a MongoDB.
type MongoSink struct {
	// URI is a connection string. It may hold a password: nothing shows it.
	URI                  string
	Database, Collection string
	Mode                 MongoMode // "" is MongoInsert without a window and MongoUpsert with one
	// ID is an SQL expression over the columns that Select reads: the documents' _id. "" takes topic-partition-offset of the record, which
	// only rows without a window have.
	ID string
	// Document is a column of type JSON whose members are the documents' fields, with the other columns behind them; "" makes a field of each
	// column. Without ID, the _id of such an object is the document's.
	Document string
	// OnError says what becomes of a row that the database refuses as a document: OnErrorFail or OnErrorDeadLetter.
	OnError OnError
	// BulkDocuments and BulkInterval close a bulk that has so many documents or is so old. A checkpoint closes it too.
	BulkDocuments int
	BulkInterval  time.Duration
}

// MongoMode says what is written for a row.
type MongoMode string

// The modes.
const (
	// MongoInsert makes a new document. Where there is one of that _id, the row is written if that document has all its fields with the same
	// values, and refused otherwise.
	MongoInsert MongoMode = "insert"
	// MongoUpsert makes a document, or replaces the one of that _id.
	MongoUpsert MongoMode = "upsert"
)

// Defaults and bounds of a MongoSink. The most is what a server takes in one command.
const (
	DefaultBulkDocuments = 1000
	MaxBulkDocuments     = 100_000
	DefaultBulkInterval  = time.Second
)

// Upserts reports whether documents are replaced.
func (m *MongoSink) Upserts(windowed bool) bool {
	return m.Mode == MongoUpsert || m.Mode == "" && windowed
}

func (c *compiler) checkMongoSink(m *MongoSink) {
	const path = "sink.mongodb"
	c.checkMongoURI(m.URI)
	c.checkNamespace(m)
	switch m.Mode {
	case "", MongoInsert, MongoUpsert:
	default:
		c.add(path+".mode", "unknown mode %q; there are insert and upsert", m.Mode)
	}
	switch {
	case m.OnError != OnErrorFail && m.OnError != OnErrorDeadLetter:
		c.add(path+".on_error", "unknown mode %q; there are fail and dead_letter", m.OnError)
	case m.OnError == OnErrorDeadLetter && c.job.Window != nil:
		c.add(path+".on_error", "a dead letter is the record that a row came from, and a window's rows come from many; write fail")
	}
	if m.BulkDocuments < 1 || m.BulkDocuments > MaxBulkDocuments {
		c.add(path+".bulk.documents", "%d is not between 1 and %d", m.BulkDocuments, MaxBulkDocuments)
	}
	c.checkMillis(path+".bulk.interval", m.BulkInterval, time.Millisecond)
	if w := c.job.Window; w != nil {
		c.checkWindowed(m, w)
	} else if c.job.Source.HTTP != nil && m.ID == "" {
		c.add(path+".id", "an item of a web API has no place that is the same when it is asked for again; set id, such as id: JSON_VALUE(%s, '$.id')", DocumentColumn)
	}
}

// checkWindowed checks what a sink must say of rows that come out of a window.
func (c *compiler) checkWindowed(m *MongoSink, w *Window) {
	if m.ID == "" {
		c.add("sink.mongodb.id", "the rows of a window have no place in a topic to make an _id of; set id, such as id: CAST(%s AS STRING), "+
			"and add to it what tells the groups of a window apart", WindowStart)
	}
	if m.Mode == MongoInsert && w.AllowedLateness > 0 {
		c.add("sink.mongodb.mode", "window.allowed_lateness writes a group again when a late row joins it; write upsert")
	}
}

// checkMongoURI never says more of the URI than what comes before its credentials.
func (c *compiler) checkMongoURI(uri string) {
	const path = "sink.mongodb.uri"
	scheme, rest, found := strings.Cut(uri, "://")
	if !found || scheme != "mongodb" && scheme != "mongodb+srv" {
		c.add(path, "the value is no connection string; write mongodb://host:port or mongodb+srv://name")
		return
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = rest[at+1:]
	}
	hosts, options, _ := strings.Cut(rest, "?")
	hosts, _, _ = strings.Cut(hosts, "/")
	if strings.Trim(hosts, ",") == "" {
		c.add(path, "the connection string names no host; write %s://host:port", scheme)
	}
	for _, option := range strings.FieldsFunc(options, func(r rune) bool { return r == '&' || r == ';' }) {
		if strings.EqualFold(option, "w=0") {
			c.add(path, "w=0 asks the database not to say whether it has a document; leave it out for majority")
		}
	}
}

// checkNamespace demands what a server would only say at the first document.
func (c *compiler) checkNamespace(m *MongoSink) {
	switch {
	case strings.TrimSpace(m.Database) == "":
		c.add("sink.mongodb.database", "the database has no name")
	case len(m.Database) > 63 || strings.ContainsAny(m.Database, "/\\. \"$*<>:|?\x00"):
		c.add("sink.mongodb.database", "%q is no name of a database: it has at most 63 bytes and none of / \\ . \" $ * < > : | ? and blanks", m.Database)
	}
	switch {
	case strings.TrimSpace(m.Collection) == "":
		c.add("sink.mongodb.collection", "the collection has no name")
	case strings.ContainsAny(m.Collection, "$\x00") || strings.HasPrefix(m.Collection, "system.") || strings.HasPrefix(m.Collection, "."):
		c.add("sink.mongodb.collection", "%q is no name of a collection: it has no $ and does not begin with a point or system.", m.Collection)
	case len(m.Database)+1+len(m.Collection) > 255:
		c.add("sink.mongodb.collection", "the names of database and collection are longer than 254 bytes together")
	}
}

// document compiles what a MongoDB sink makes of rows.
func (c *compiler) document(result, rows scope) {
	m := c.job.Sink.MongoDB
	if m == nil {
		return
	}
	for i, column := range c.program.Sink {
		path := "sink.mongodb"
		if len(c.job.Select) > 0 {
			path = fmt.Sprintf("select[%d]", i)
		}
		switch {
		case column.Name == mongoID:
			c.add(path, "a column cannot be called %s, the database's own name for what tells documents apart; set sink.mongodb.id and leave the column out", mongoID)
		case strings.ContainsRune(column.Name, 0):
			c.add(path, "column name %q holds a NUL, which no field of a document can", column.Name)
		}
	}
	c.checkDocumentColumn(m)
	const path = "sink.mongodb.id"
	if m.ID == "" || c.job.Window != nil && c.ungrouped(result, rows, path, m.ID) {
		return
	}
	c.program.DocumentID = c.expression(result, path, m.ID)
	if id := c.program.DocumentID; id != nil && (id.Type().Kind == sqltype.JSON || unfit(id.Type()) != "") {
		c.add(path, "the value is %s, which cannot be an _id; take a column, or what JSON_VALUE takes out of a document", id.Type())
	}
}

func (c *compiler) checkDocumentColumn(m *MongoSink) {
	const path = "sink.mongodb.document"
	if m.Document == "" {
		return
	}
	switch i := c.program.Sink.Index(m.Document); {
	case i < 0:
		c.addUnknown(path, fmt.Sprintf("there is no column %s in the result", m.Document), nearest.Name(m.Document, c.program.Sink.Names()))
	case c.program.Sink[i].Type.Kind != sqltype.JSON:
		c.add(path, "column %s is %s, not JSON; leave this out to make a field of each column", m.Document, c.program.Sink[i].Type)
	}
}

// mongoID is the field that tells documents apart.
const mongoID = "_id"
