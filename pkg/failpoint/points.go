// Package failpoint has the points of the checkpoint protocol at which a test kills the process, to prove that every one is
// survived. Programs have none of it: without the build tag failpoint a point is an empty function, and the compiler leaves nothing of it.
package failpoint

// Variable is the environment variable that says where a process built with the tag failpoint dies: POINT:N, at the Nth time
// that it comes to the point.
const Variable = "PENCERE_FAILPOINT"

// Point is a place in the protocol.
type Point string

// The points, in the order in which a checkpoint comes to them.
const (
	BeforeBarrier Point = "before-barrier" // a source is told of the checkpoint
	AfterBarrier  Point = "after-barrier"  // the barrier is on the edges, the source's state is not taken

	BeforeSnapshot  Point = "before-snapshot"   // the barrier has come through every input
	BeforeFileSync  Point = "before-file-sync"  // a part file is written, not durable
	AfterFileSync   Point = "after-file-sync"   // the part file is durable, its name is not
	AfterDirSync    Point = "after-dir-sync"    // the part file is pending
	AfterSnapshot   Point = "after-snapshot"    // the state is taken, nobody has it
	DuringBlobWrite Point = "during-blob-write" // some of the state is in blob storage
	BeforeBlobSync  Point = "before-blob-sync"  // the blob is written, not durable
	AfterBlobSync   Point = "after-blob-sync"   // the blob is durable, nothing names it
	BeforeAck       Point = "before-ack"
	AfterAck        Point = "after-ack"

	BeforeLogCommit Point = "before-log-commit" // all have acked
	AfterLogCommit  Point = "after-log-commit"  // the checkpoint exists, nobody knows
	BetweenNotify   Point = "between-notify"    // some subtasks are told, others not
	AfterNotify     Point = "after-notify"      // all are told, superseded state is there still

	BeforeManifestRename Point = "before-manifest-rename" // an entry is there under a temporary name
	AfterManifestRename  Point = "after-manifest-rename"  // the entry has its name, which is not durable
	BeforeRename         Point = "before-rename"          // entries are durable, a part file is pending
	AfterRename          Point = "after-rename"           // the part file has its final name, which is not durable
	AfterPublish         Point = "after-publish"          // the part files are finished
	BeforeOffsetCommit   Point = "before-offset-commit"
	AfterOffsetCommit    Point = "after-offset-commit"

	AfterPrepare      Point = "after-prepare"      // the brokers have all records of a transaction, its state is not acked
	BeforeTransaction Point = "before-transaction" // a checkpoint's transaction is prepared, at its commit or a restore
	AfterTransaction  Point = "after-transaction"  // the transaction is committed

	BeforeManifestEnd Point = "before-manifest-end" // all part files of the job are finished, its manifest is open
	AfterManifestEnd  Point = "after-manifest-end"

	BeforeRestorePublish Point = "before-restore-publish" // a new attempt has opened nothing
	AfterRestorePublish  Point = "after-restore-publish"  // what its checkpoint held is finished
	AfterStaleRemoved    Point = "after-stale-removed"    // what earlier attempts left is gone
)

// Where says which points a process comes to, and when.
type Where struct {
	JobManager, TaskManager []Point // at each checkpoint
	Topic                   []Point // at each checkpoint of a job that writes to a topic, on a taskmanager
	AtEnd                   []Point // of a bounded job, on a taskmanager
	AtRestore               []Point // of an attempt, on a taskmanager
}

// All returns all points.
func All() Where {
	return Where{
		TaskManager: []Point{
			BeforeBarrier, AfterBarrier, BeforeSnapshot, BeforeFileSync, AfterFileSync, AfterDirSync, AfterSnapshot,
			DuringBlobWrite, BeforeBlobSync, AfterBlobSync, BeforeAck, AfterAck,
			BeforeManifestRename, AfterManifestRename, BeforeRename, AfterRename, AfterPublish, BeforeOffsetCommit, AfterOffsetCommit,
		},
		JobManager: []Point{BeforeLogCommit, AfterLogCommit, BetweenNotify, AfterNotify},
		Topic:      []Point{AfterPrepare, BeforeTransaction, AfterTransaction},
		AtEnd:      []Point{BeforeManifestEnd, AfterManifestEnd},
		AtRestore:  []Point{BeforeRestorePublish, AfterRestorePublish, AfterStaleRemoved},
	}
}
