package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pencere/pkg/nearest"
	"pencere/pkg/sqltype"
)

// The formats of records.
const (
	FormatJSON = "json"
	FormatCSV  = "csv" // of sinks only
	FormatRaw  = "raw" // the value's bytes are the one column, as in Flink's format of this name
)

// DocumentColumn is the name of the column of DocumentSchema.
const DocumentColumn = "document"

// DocumentSchema returns the one schema that Source.Document can have.
func DocumentSchema() sqltype.Schema {
	return sqltype.Schema{{Name: DocumentColumn, Type: sqltype.JSONType.WithNotNull(true)}}
}

// RawSchema returns the schema that a source of the format raw has if it names none. A record without a value is NULL.
func RawSchema() sqltype.Schema { return sqltype.Schema{{Name: "raw", Type: sqltype.BytesType}} }

// MetadataColumn is a column that comes from beside a record's value.
type MetadataColumn struct {
	Name string
	Key  string // which metadata it is, see KafkaMetadata
}

// HeaderKey begins the metadata key of one header: "headers.NAME" is the value of the last header called NAME, NULL without one.
const HeaderKey = "headers."

// kafkaMetadata are the types of metadata by key: those of Flink's Kafka connector, where it has them. The record's key and single headers
// are BYTES; all headers together are a JSON object with the values in base64, which is what Flink's JSON format makes of its MAP<STRING, BYTES>.
var kafkaMetadata = map[string]sqltype.Type{
	"topic":          sqltype.StringType.WithNotNull(true),
	"partition":      sqltype.IntType.WithNotNull(true),
	"offset":         sqltype.BigIntType.WithNotNull(true),
	"timestamp":      sqltype.TimestampLTZType(3).WithNotNull(true),
	"timestamp-type": sqltype.StringType.WithNotNull(true),
	"leader-epoch":   sqltype.IntType,
	"key":            sqltype.BytesType,
	"headers":        sqltype.JSONType.WithNotNull(true),
}

// KafkaMetadata returns the metadata keys of a record of Kafka, sorted, with "headers.NAME" for those of single headers.
func KafkaMetadata() []string {
	keys := append(slices.Collect(maps.Keys(kafkaMetadata)), HeaderKey+"NAME")
	slices.Sort(keys)
	return keys
}

// httpMetadata are the metadata keys of an item of a web API, of their types in Kafka: its URL without what may be secret, which of the URLs of
// that name, its number, and when the answer came.
var httpMetadata = []string{"topic", "partition", "offset", "timestamp"}

// metadataKeys returns the metadata keys of a source's records, sorted.
func (s Source) metadataKeys() []string {
	if s.HTTP != nil {
		return slices.Sorted(slices.Values(httpMetadata))
	}
	return KafkaMetadata()
}

// metadataType returns the type of a metadata key of Kafka.
func metadataType(key string) (t sqltype.Type, known bool) {
	if name, ok := strings.CutPrefix(key, HeaderKey); ok && name != "" {
		return sqltype.BytesType, true
	}
	t, known = kafkaMetadata[key]
	return t, known
}

// Columns returns the columns that a record makes before any are computed: those of the schema and the metadata.
func (s Source) Columns() sqltype.Schema {
	columns := slices.Clone(s.Schema)
	for _, column := range s.Metadata {
		t, _ := metadataType(column.Key)
		columns = append(columns, sqltype.Column{Name: column.Name, Type: t})
	}
	return columns
}

// metadata adds the metadata columns to s.
func (c *compiler) metadata(s *scope) {
	for _, column := range c.job.Source.Metadata {
		path := "source.metadata." + column.Name
		fresh := c.checkName(*s, path, column.Name)
		t, known := metadataType(column.Key)
		if c.job.Source.HTTP != nil {
			known = slices.Contains(httpMetadata, column.Key)
		}
		switch {
		case !known:
			keys := c.job.Source.metadataKeys()
			c.addUnknown(path, fmt.Sprintf("unknown metadata %q; there are %s", column.Key, strings.Join(keys, ", ")), nearest.Name(column.Key, keys))
			if fresh {
				s.broken = append(s.broken, column.Name)
			}
		case fresh:
			s.columns = append(s.columns, sqltype.Column{Name: column.Name, Type: t})
		}
	}
}

// checkFormat checks the format with its options and the schemas that it can have.
func (c *compiler) checkFormat(source Source) {
	switch source.Format {
	case FormatJSON:
		c.checkJSON(source)
		if source.Document {
			c.checkDocument(source)
		}
	case FormatRaw:
		c.checkRaw(source)
	default:
		c.add("source.format", "unknown format %q; there are json and raw", source.Format)
	}
}

func (c *compiler) checkDocument(source Source) {
	if !slices.Equal(source.Schema, DocumentSchema()) {
		c.add("source.schema", "a document is the one column %s of type JSON NOT NULL", DocumentColumn)
	}
	for _, option := range slices.Sorted(maps.Keys(source.FormatOptions)) {
		if option != "ignore-parse-errors" {
			c.add("source.json."+option, "says nothing about a document, which is kept as it is; leave it out")
		}
	}
}

func (c *compiler) checkRaw(source Source) {
	switch schema := source.Schema; {
	case source.Document:
		c.add("source.schema", "a document is JSON; set format: json, or leave the schema out for the bytes as they are")
	case len(schema) > 1:
		c.add("source.schema", "the format raw has one column, and here are %d", len(schema))
	case len(schema) == 1 && schema[0].Type != sqltype.BytesType && schema[0].Type.Kind != sqltype.Invalid:
		c.add("source.schema."+schema[0].Name, "the column of the format raw is BYTES, not %s; make others of it under compute, such as DECODE(%s, 'UTF-8')", schema[0].Type, quote(schema[0].Name))
	}
	switch source.OnError {
	case "", OnErrorFail:
	default:
		c.add("source.on_error", "%s never happens: any bytes are a good record of the format raw; leave it out", source.OnError)
	}
	for _, option := range slices.Sorted(maps.Keys(source.FormatOptions)) {
		c.add("source.json."+option, "belongs to the format json, and the format is raw; leave it out")
	}
}
