// Package kafka reads and writes topics of a Kafka cluster.
//
// The work is cut in two, as the cluster's processes are. An Enumerator, of which a job has one, finds the partitions
// and says by number where each begins and, in a bounded job, ends: these are the splits. A Reader, of which each
// source subtask has one, reads the splits that it is given. There is no consumer group: positions belong to the job, and
// offsets are committed to the group only for others to see the lag.
//
// A Writer, of which each sink subtask has one, writes in transactions that are committed with the job's checkpoints.
//
// A broker that is away is waited for, with backoff, and the wait is visible (Enumerator.Waiting, Reader.Status).
// What waiting cannot mend comes as an error of its own type: UnknownTopicError, DataLossError, NoOffsetError,
// AuthError, PropertyError.
package kafka
