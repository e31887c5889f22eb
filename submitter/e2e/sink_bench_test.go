//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pencere/pkg/connector/kafka"
	"pencere/pkg/connector/mongodb"
	rowbson "pencere/pkg/format/bson"
	"pencere/pkg/format/json"
	"pencere/pkg/plan"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// What the sinks are measured with: batches as a job has them, and a checkpoint after so many rows.
const (
	benchBatch      = 4096
	benchCheckpoint = 50 * benchBatch
	benchBulk       = plan.DefaultBulkDocuments
)

var benchSchema = sqltype.Schema{
	{Name: "id", Type: sqltype.BigIntType}, {Name: "product", Type: sqltype.StringType}, {Name: "description", Type: sqltype.StringType},
	{Name: "price", Type: sqltype.BigIntType}, {Name: "kdv", Type: sqltype.DoubleType}, {Name: "at", Type: sqltype.TimestampType(3)},
}

// benchRows makes a batch of listings.
func benchRows() arrow.RecordBatch {
	builder := array.NewRecordBuilder(memory.DefaultAllocator, benchSchema.Arrow())
	defer builder.Release()
	for i := range benchBatch {
		builder.Field(0).(*array.Int64Builder).Append(int64(i))
		builder.Field(1).(*array.StringBuilder).Append("Televizyon")
		builder.Field(2).(*array.StringBuilder).Append(fmt.Sprintf("ikinci el LG OLED TV %d", i))
		builder.Field(3).(*array.Int64Builder).Append(18000 + int64(i))
		builder.Field(4).(*array.Float64Builder).Append(0.18)
		builder.Field(5).(*array.Decimal128Builder).Append(sqltype.TimestampValue(1_700_000_000_000+int64(i), 0))
	}
	return builder.NewRecordBatch()
}

// bareDocument is a row of benchRows as a program of its own would make it.
func bareDocument(id string, i int) bson.D {
	return bson.D{{Key: "_id", Value: id}, {Key: "id", Value: int64(i)}, {Key: "product", Value: "Televizyon"},
		{Key: "description", Value: fmt.Sprintf("ikinci el LG OLED TV %d", i)}, {Key: "price", Value: 18000 + int64(i)}, {Key: "kdv", Value: 0.18},
		{Key: "at", Value: time.UnixMilli(1_700_000_000_000 + int64(i))}}
}

// BenchmarkMongoSink writes rows by the sink and, beside it, documents by the driver alone, in unordered inserts of the same bulk.
func BenchmarkMongoSink(b *testing.B) {
	ctx := context.Background()
	rows := benchRows()
	defer rows.Release()
	for _, who := range []string{"sink", "bare"} {
		b.Run(fmt.Sprintf("%s/bulk=%d", who, benchBulk), func(b *testing.B) {
			db := mongoClient(b, mongoURI(b)).Database(fmt.Sprintf("bench-%d", time.Now().UnixNano()))
			defer func() { _ = db.Drop(ctx) }() // the next one begins with an empty server
			id := func(i int) string { return fmt.Sprintf("listings-0-%d", i) }
			b.ResetTimer()
			if who == "bare" {
				var models []mongo.WriteModel
				for i := range b.N {
					models = append(models, mongo.NewInsertOneModel().SetDocument(bareDocument(id(i), i%benchBatch)))
					if len(models) < benchBulk && i+1 < b.N {
						continue
					}
					if _, err := db.Collection("c").BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false)); err != nil {
						b.Fatal(err)
					}
					models = models[:0]
				}
				return
			}
			w := openMongo(b, plan.MongoSink{URI: mongoURI(b), Database: db.Name(), Collection: "c"}, false)
			encoder, err := rowbson.NewEncoder(benchSchema, "")
			if err != nil {
				b.Fatal(err)
			}
			for i := range b.N {
				body, err := encoder.AppendRow(nil, rowbson.ID{Value: rowbson.TextID(id(i))}, rows, i%benchBatch)
				if err == nil {
					err = w.Write(ctx, mongodb.Document{Body: body})
				}
				if err == nil && (i+1 == b.N || (i+1)%benchCheckpoint == 0) {
					err = w.Flush(ctx)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkKafkaSink writes rows by the sink, in transactions, and beside it values by franz-go alone, idempotently.
func BenchmarkKafkaSink(b *testing.B) {
	ctx := context.Background()
	broker := kafkaBroker(b)
	rows := benchRows()
	defer rows.Release()
	encoder, err := json.NewEncoder(benchSchema, json.EncodeOptions{})
	if err != nil {
		b.Fatal(err)
	}
	for _, codec := range []plan.Compression{plan.CompressionNone, plan.CompressionLZ4} {
		for _, who := range []string{"sink", "bare"} {
			b.Run(fmt.Sprintf("%s/codec=%s", who, codec), func(b *testing.B) {
				topic := fmt.Sprintf("bench-%d", time.Now().UnixNano())
				bare, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchMaxBytes(1<<20),
					kgo.MaxBufferedBytes(32<<20), kgo.MaxBufferedRecords(1<<20), kgo.ProducerBatchCompression(benchCodec(codec)), kgo.ProducerLinger(0))
				if err != nil {
					b.Fatal(err)
				}
				defer bare.Close()
				if _, err := kadm.NewClient(bare).CreateTopic(ctx, 2, 1, nil, topic); err != nil {
					b.Fatal(err)
				}
				write, flush := bareProducer(ctx, b, bare)
				if who == "sink" {
					write, flush = sinkProducer(ctx, b, broker, topic, codec)
				}
				b.ResetTimer()
				for i := range b.N {
					value, err := encoder.AppendRow(nil, rows, i%benchBatch)
					if err == nil {
						err = write(value)
					}
					if err == nil && (i+1 == b.N || (i+1)%benchCheckpoint == 0) {
						err = flush()
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func benchCodec(c plan.Compression) kgo.CompressionCodec {
	if c == plan.CompressionLZ4 {
		return kgo.Lz4Compression()
	}
	return kgo.NoCompression()
}

func bareProducer(ctx context.Context, b *testing.B, client *kgo.Client) (write func(value []byte) error, flush func() error) {
	b.Helper()
	return func(value []byte) error {
		client.Produce(ctx, &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				b.Error(err)
			}
		})
		return nil
	}, func() error { return client.Flush(ctx) }
}

func sinkProducer(ctx context.Context, b *testing.B, broker, topic string, codec plan.Compression) (write func(value []byte) error, flush func() error) {
	b.Helper()
	config, err := kafka.NewWriterConfig(plan.KafkaSink{
		Brokers: []string{broker}, Topic: topic, Compression: codec, Delivery: plan.DeliveryExactlyOnce, TransactionPrefix: "bench", TransactionTimeout: time.Minute,
	})
	if err != nil {
		b.Fatal(err)
	}
	w, err := kafka.OpenWriter(ctx, config, kafka.Owner{JobID: topic, Vertex: "sink", Parallelism: 1, Attempt: 1}, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(w.Close)
	return func(value []byte) error { return w.Write(ctx, &kgo.Record{Value: value}) }, func() error {
		prepared, err := w.Prepare(ctx)
		if err != nil {
			return err
		}
		return w.Commit(ctx, prepared)
	}
}
