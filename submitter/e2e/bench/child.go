package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The command runs itself for what must be a process of its own, so that its CPU time is its own.
const (
	brokerRole = "broker" // an embedded broker: prints its address and serves until its input ends
	readRole   = "read"   // the bare read: BROKER TOPIC RECORDS, prints a bareRead
)

// child runs a role. handled is false when the arguments name none.
func child(ctx context.Context, args []string, in io.Reader, out io.Writer) (handled bool, err error) {
	switch {
	case len(args) == 1 && args[0] == brokerRole:
		return true, serveBroker(in, out)
	case len(args) == 4 && args[0] == readRole:
		records, err := strconv.Atoi(args[3])
		if err != nil {
			return true, fmt.Errorf("number of records: %w", err)
		}
		read, err := readBare(ctx, args[1], args[2], records)
		if err != nil {
			return true, err
		}
		return true, json.NewEncoder(out).Encode(read)
	default:
		return false, nil
	}
}

func serveBroker(in io.Reader, out io.Writer) error {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		return fmt.Errorf("start embedded kafka: %w", err)
	}
	defer cluster.Close()
	fmt.Fprintln(out, cluster.ListenAddrs()[0])
	_, err = io.Copy(io.Discard, in)
	return err
}

// startBroker starts an embedded broker in its own process, which ends with stop, or with this one.
func startBroker(ctx context.Context) (address string, stop func(), err error) {
	command, err := self(ctx, brokerRole)
	if err != nil {
		return "", nil, err
	}
	input, err := command.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	output, err := command.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := command.Start(); err != nil {
		return "", nil, fmt.Errorf("start embedded kafka: %w", err)
	}
	stop = func() {
		_ = input.Close()  // this is what it waits for
		_ = command.Wait() // its records are of no further use
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("address of the embedded kafka: %w", err)
	}
	return strings.TrimSpace(line), stop, nil
}

func self(ctx context.Context, args ...string) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("own program: %w", err)
	}
	command := exec.CommandContext(ctx, program, args...)
	command.Stderr = os.Stderr
	return command, nil
}

// bareRead is what reading the topic costs franz-go alone.
type bareRead struct {
	CPUMicros        float64 `json:"cpu_us_per_record"`
	RecordsPerSecond float64 `json:"records_per_second"`
}

func measureBareRead(ctx context.Context, broker, topic string, records int) (bareRead, error) {
	command, err := self(ctx, readRole, broker, topic, strconv.Itoa(records))
	if err != nil {
		return bareRead{}, err
	}
	output, err := command.Output()
	if err != nil {
		return bareRead{}, fmt.Errorf("bare read: %w", err)
	}
	var read bareRead
	if err := json.Unmarshal(output, &read); err != nil {
		return bareRead{}, fmt.Errorf("bare read: %w", err)
	}
	return read, nil
}

// readBare polls the topic to its end and looks at nothing but the values' sizes.
func readBare(ctx context.Context, broker, topic string, records int) (bareRead, error) {
	before, began := cpuOfSelf(), time.Now()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(topic), kgo.DisableClientMetrics())
	if err != nil {
		return bareRead{}, fmt.Errorf("make kafka client: %w", err)
	}
	defer client.Close()
	seen, bytes := 0, 0
	for seen < records {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return bareRead{}, fmt.Errorf("read topic %s: %w", topic, err)
		}
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			for _, r := range p.Records {
				bytes += len(r.Value)
			}
			seen += len(p.Records)
		})
	}
	if bytes != records*recordBytes {
		return bareRead{}, fmt.Errorf("topic %s holds %d bytes in %d records, want %d", topic, bytes, seen, records*recordBytes)
	}
	return bareRead{
		CPUMicros:        float64((cpuOfSelf() - before).Microseconds()) / float64(records),
		RecordsPerSecond: float64(records) / time.Since(began).Seconds(),
	}, nil
}

func cpuOfSelf() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // fails for a wrong argument only
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
