package command

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"pencere/submitter/internal/records"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

const consumeHelp = `Prints the records of topics as they come, until Ctrl-C, --max, or --idle:

  topic:partition:offset: key=… value=…

With --json each record is one JSON object on a line, with its timestamp and headers. A key or value that is no UTF-8 is quoted, or in JSON
base64 under keyBase64 and valueBase64.
`

func (a *app) consumeCommand() *cobra.Command {
	var k kafkaFlags
	var reading records.Reading
	var from string
	c := &cobra.Command{
		Use:   "consume TOPIC...",
		Short: "Prints the records of Kafka topics",
		Long:  consumeHelp + exitCodesHelp,
		Args:  someTopic,
	}
	k.add(c)
	flags := c.Flags()
	flags.StringVar(&from, "from", "latest", "earliest, latest, an offset, -N for the last N of each partition, or a time as 2006-01-02T15:04:05Z")
	flags.Int32SliceVar(&reading.Partitions, "partition", nil, "partitions of the one topic to read; all when empty")
	flags.StringVar(&reading.Group, "group", "", "consumer group to read in: begins where the group was, and commits")
	flags.BoolVar(&reading.Committed, "read-committed", false, "leave out records of transactions that are open or were aborted")
	flags.Int64Var(&reading.Max, "max", 0, "stop after so many records; 0 does not")
	flags.DurationVar(&reading.Idle, "idle", 0, "stop when no record has come for so long; 0 does not")
	c.RunE = func(c *cobra.Command, args []string) error {
		offset, err := parseFrom(from)
		switch {
		case err != nil:
			return err
		case len(reading.Partitions) > 0 && (len(args) > 1 || reading.Group != ""):
			return usage("--partition is for one topic and without --group")
		case reading.Max < 0 || reading.Idle < 0:
			return usage("--max and --idle are 0 or more")
		}
		reading.Topics, reading.From = args, offset
		return a.consume(c.Context(), k, reading)
	}
	return c
}

// parseFrom reads where to begin.
func parseFrom(text string) (kgo.Offset, error) {
	switch text {
	case "earliest":
		return kgo.NewOffset().AtStart(), nil
	case "latest":
		return kgo.NewOffset().AtEnd(), nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if n < 0 {
			return kgo.NewOffset().AtEnd().Relative(n), nil
		}
		return kgo.NewOffset().At(n), nil
	}
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return kgo.NewOffset().AfterMilli(at.UnixMilli()), nil
	}
	return kgo.Offset{}, usage("--from %s: want earliest, latest, an offset, -N, or a time as 2006-01-02T15:04:05Z", text)
}

func (a *app) consume(ctx context.Context, k kafkaFlags, reading records.Reading) error {
	client, err := a.connectKafka(ctx, k, reading.Options()...)
	if err != nil {
		return err
	}
	defer client.Close()
	show := a.showRecord
	if a.json {
		encoder := json.NewEncoder(a.Out)
		encoder.SetEscapeHTML(false)
		show = func(r *kgo.Record) error { return encoder.Encode(recordOf(r)) }
	}
	shown, err := records.Consume(ctx, client, reading, show)
	if err != nil {
		return err
	}
	if !a.json {
		a.note("%s records were read.", grouped(shown))
	}
	return nil
}

func (a *app) showRecord(r *kgo.Record) error {
	_, err := fmt.Fprintf(a.Out, "%s:%d:%d: key=%s value=%s\n", r.Topic, r.Partition, r.Offset, readable(r.Key), readable(r.Value))
	return err
}

// readable is a key or value for people: null for none, and quoted where it is no text.
func readable(data []byte) string {
	switch {
	case data == nil:
		return "null"
	case utf8.Valid(data):
		return string(data)
	default:
		return strconv.Quote(string(data))
	}
}

// record is how consume prints one with --json.
type record struct {
	Topic       string   `json:"topic"`
	Partition   int32    `json:"partition"`
	Offset      int64    `json:"offset"`
	Timestamp   string   `json:"timestamp"`
	Key         *string  `json:"key"`
	KeyBase64   []byte   `json:"keyBase64,omitempty"`
	Value       *string  `json:"value"`
	ValueBase64 []byte   `json:"valueBase64,omitempty"`
	Headers     []header `json:"headers,omitempty"`
}

type header struct {
	Key         string  `json:"key"`
	Value       *string `json:"value"`
	ValueBase64 []byte  `json:"valueBase64,omitempty"`
}

func recordOf(r *kgo.Record) record {
	shown := record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UTC().Format("2006-01-02T15:04:05.000Z")}
	shown.Key, shown.KeyBase64 = textOrBytes(r.Key)
	shown.Value, shown.ValueBase64 = textOrBytes(r.Value)
	for _, h := range r.Headers {
		text, bytes := textOrBytes(h.Value)
		shown.Headers = append(shown.Headers, header{h.Key, text, bytes})
	}
	return shown
}

// textOrBytes returns data as text if it is, nothing if there is none.
func textOrBytes(data []byte) (text *string, bytes []byte) {
	if data == nil {
		return nil, nil
	}
	if !utf8.Valid(data) {
		return nil, data
	}
	s := string(data)
	return &s, nil
}
