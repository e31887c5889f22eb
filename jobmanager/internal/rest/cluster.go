package rest

import (
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/view"
)

func (s *server) health(*http.Request) (any, error) { return struct{}{}, nil }

func (s *server) datasets(*http.Request) (any, error) {
	return map[string][]struct{}{"dataSets": {}}, nil
}

type overview struct {
	TaskManagers   int    `json:"taskmanagers"`
	SlotsTotal     int    `json:"slots-total"`
	SlotsAvailable int    `json:"slots-available"`
	JobsRunning    int    `json:"jobs-running"` // those that have not ended
	JobsFinished   int    `json:"jobs-finished"`
	JobsCancelled  int    `json:"jobs-cancelled"`
	JobsFailed     int    `json:"jobs-failed"`
	Version        string `json:"flink-version"`
	Commit         string `json:"flink-commit"`
}

func (s *server) overview(*http.Request) (any, error) { return s.count(), nil }

func (s *server) count() overview {
	answer := overview{Version: s.Version, Commit: s.Revision}
	for _, tm := range s.Cluster.TaskManagers() {
		answer.TaskManagers++
		answer.SlotsTotal += tm.Slots
		answer.SlotsAvailable += tm.Free
	}
	for _, j := range s.Cluster.Jobs() {
		switch j.Status {
		case jobfsm.Finished:
			answer.JobsFinished++
		case jobfsm.Canceled:
			answer.JobsCancelled++
		case jobfsm.Failed:
			answer.JobsFailed++
		default:
			answer.JobsRunning++
		}
	}
	return answer
}

// features switch parts of the dashboard. Submitting there means jars, which do not run here.
type features struct {
	WebSubmit  bool `json:"web-submit"`
	WebCancel  bool `json:"web-cancel"`
	WebRescale bool `json:"web-rescale"`
	WebHistory bool `json:"web-history"`
}

type dashboardConfig struct {
	RefreshInterval int64    `json:"refresh-interval"` // ms
	TimezoneName    string   `json:"timezone-name"`
	TimezoneOffset  int      `json:"timezone-offset"` // ms
	Version         string   `json:"flink-version"`
	Revision        string   `json:"flink-revision"`
	Features        features `json:"features"`
}

func (s *server) dashboardConfig(*http.Request) (any, error) {
	zone, offset := s.Now().Zone()
	return dashboardConfig{
		RefreshInterval: 3000, TimezoneName: zone, TimezoneOffset: offset * 1000, Version: s.Version, Revision: s.Revision,
		Features: features{WebCancel: true},
	}, nil
}

func (s *server) jobmanagerConfig(*http.Request) (any, error) {
	return append([]Setting{}, s.Settings...), nil
}

type environment struct {
	JVM       runtimeInfo `json:"jvm"`
	Classpath []string    `json:"classpath"` // of the modules that the program was built of
}

type runtimeInfo struct {
	Version string   `json:"version"`
	Arch    string   `json:"arch"`
	Options []string `json:"options"`
}

// jobmanagerEnvironment tells of the Go program what Flink tells of its JVM. Options are the settings of the build, and
// of the environment those that tune the runtime.
func (s *server) jobmanagerEnvironment(*http.Request) (any, error) {
	answer := environment{
		JVM:       runtimeInfo{Version: runtime.Version(), Arch: runtime.GOARCH, Options: []string{}},
		Classpath: []string{},
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range build.Settings {
			answer.JVM.Options = append(answer.JVM.Options, setting.Key+"="+setting.Value)
		}
		for _, module := range build.Deps {
			answer.Classpath = append(answer.Classpath, module.Path+"@"+module.Version)
		}
	}
	for _, name := range []string{"GOMAXPROCS", "GOMEMLIMIT", "GOGC", "GODEBUG"} {
		if value, ok := os.LookupEnv(name); ok {
			answer.JVM.Options = append(answer.JVM.Options, name+"="+value)
		}
	}
	return answer, nil
}

func (s *server) jobmanagerMetrics(r *http.Request) (any, error) {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	counts := s.count()
	return answerMetrics(r, []metric{
		whole("taskSlotsTotal", int64(counts.SlotsTotal)),
		whole("taskSlotsAvailable", int64(counts.SlotsAvailable)),
		whole("numRegisteredTaskManagers", int64(counts.TaskManagers)),
		whole("numRunningJobs", int64(counts.JobsRunning)),
		whole("Status.JVM.Memory.Heap.Used", int64(memory.HeapAlloc)),
		whole("Status.JVM.Memory.Heap.Committed", int64(memory.HeapSys-memory.HeapReleased)),
		whole("Status.JVM.Memory.Heap.Max", debug.SetMemoryLimit(-1)), // a negative limit only reads it
		whole("Status.JVM.Memory.NonHeap.Used", int64(memory.Sys-memory.HeapSys)),
		whole("Status.JVM.Threads.Count", int64(runtime.NumGoroutine())),
		whole("Status.JVM.GarbageCollector.All.Count", int64(memory.NumGC)),
		whole("Status.JVM.GarbageCollector.All.Time", int64(memory.PauseTotalNs/1e6)),
	})
}

// resources are Flink's profile of slots, memory in MiB. A Go program's memory is one: all of it is task heap.
type resources struct {
	CPUCores          double   `json:"cpuCores"`
	TaskHeapMemory    int64    `json:"taskHeapMemory"`
	TaskOffHeapMemory int64    `json:"taskOffHeapMemory"`
	ManagedMemory     int64    `json:"managedMemory"`
	NetworkMemory     int64    `json:"networkMemory"`
	ExtendedResources struct{} `json:"extendedResources"`
}

type hardware struct {
	CPUCores       int   `json:"cpuCores"`
	PhysicalMemory int64 `json:"physicalMemory"`
	FreeMemory     int64 `json:"freeMemory"` // Flink's is the heap's limit
	ManagedMemory  int64 `json:"managedMemory"`
}

type memoryConfiguration struct {
	FrameworkHeap      int64 `json:"frameworkHeap"`
	TaskHeap           int64 `json:"taskHeap"`
	FrameworkOffHeap   int64 `json:"frameworkOffHeap"`
	TaskOffHeap        int64 `json:"taskOffHeap"`
	NetworkMemory      int64 `json:"networkMemory"`
	ManagedMemory      int64 `json:"managedMemory"`
	JVMMetaspace       int64 `json:"jvmMetaspace"`
	JVMOverhead        int64 `json:"jvmOverhead"`
	TotalFlinkMemory   int64 `json:"totalFlinkMemory"`
	TotalProcessMemory int64 `json:"totalProcessMemory"`
}

type taskManagerInfo struct {
	ID                  string              `json:"id"`
	Path                string              `json:"path"`
	DataPort            int                 `json:"dataPort"`
	JMXPort             int                 `json:"jmxPort"`
	LastHeartbeat       int64               `json:"timeSinceLastHeartbeat"` // despite its name a time, as in Flink
	Slots               int                 `json:"slotsNumber"`
	FreeSlots           int                 `json:"freeSlots"`
	TotalResource       resources           `json:"totalResource"`
	FreeResource        resources           `json:"freeResource"`
	Hardware            hardware            `json:"hardware"`
	MemoryConfiguration memoryConfiguration `json:"memoryConfiguration"`
}

func infoOf(tm view.TaskManager) taskManagerInfo {
	return taskManagerInfo{
		ID: tm.ID, Path: tm.DataAddress, DataPort: portOf(tm.DataAddress), JMXPort: -1, LastHeartbeat: tm.LastHeartbeat,
		Slots: tm.Slots, FreeSlots: tm.Free,
		TotalResource: resourcesOf(tm, tm.Slots), FreeResource: resourcesOf(tm, tm.Free),
		Hardware:            hardware{CPUCores: tm.CPUCores, PhysicalMemory: tm.PhysicalBytes, FreeMemory: tm.LimitBytes},
		MemoryConfiguration: memoryConfiguration{TaskHeap: tm.LimitBytes, TotalFlinkMemory: tm.LimitBytes, TotalProcessMemory: tm.LimitBytes},
	}
}

func portOf(address string) int {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return -1
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return -1
	}
	return port
}

// resourcesOf is the share that so many slots have. As in Flink a slot counts as one core.
func resourcesOf(tm view.TaskManager, slots int) resources {
	var heap int64
	if tm.Slots > 0 {
		heap = tm.LimitBytes / int64(tm.Slots) * int64(slots) >> 20
	}
	return resources{CPUCores: double(slots), TaskHeapMemory: heap}
}

func (s *server) taskManagers(*http.Request) (any, error) {
	all := s.Cluster.TaskManagers()
	infos := make([]taskManagerInfo, len(all))
	for i, tm := range all {
		infos[i] = infoOf(tm)
	}
	return map[string]any{"taskmanagers": infos}, nil
}

type allocatedSlot struct {
	JobID    string    `json:"jobId"`
	Resource resources `json:"resource"`
}

type taskManagerDetails struct {
	taskManagerInfo
	AllocatedSlots []allocatedSlot `json:"allocatedSlots"`
	Metrics        taskManagerLoad `json:"metrics"`
}

// taskManagerLoad has Flink's keys. What only a JVM has is 0, and -1 where a JVM has no limit.
type taskManagerLoad struct {
	HeapUsed          int64      `json:"heapUsed"`
	HeapCommitted     int64      `json:"heapCommitted"`
	HeapMax           int64      `json:"heapMax"`
	NonHeapUsed       int64      `json:"nonHeapUsed"`
	NonHeapCommitted  int64      `json:"nonHeapCommitted"`
	NonHeapMax        int64      `json:"nonHeapMax"`
	DirectCount       int64      `json:"directCount"`
	DirectUsed        int64      `json:"directUsed"`
	DirectMax         int64      `json:"directMax"`
	MappedCount       int64      `json:"mappedCount"`
	MappedUsed        int64      `json:"mappedUsed"`
	MappedMax         int64      `json:"mappedMax"`
	SegmentsAvailable int64      `json:"memorySegmentsAvailable"`
	SegmentsTotal     int64      `json:"memorySegmentsTotal"`
	NettySegAvailable int64      `json:"nettyShuffleMemorySegmentsAvailable"`
	NettySegUsed      int64      `json:"nettyShuffleMemorySegmentsUsed"`
	NettySegTotal     int64      `json:"nettyShuffleMemorySegmentsTotal"`
	NettyAvailable    int64      `json:"nettyShuffleMemoryAvailable"`
	NettyUsed         int64      `json:"nettyShuffleMemoryUsed"`
	NettyTotal        int64      `json:"nettyShuffleMemoryTotal"`
	GarbageCollectors []struct{} `json:"garbageCollectors"`
}

func (s *server) taskManager(r *http.Request) (any, error) {
	id := r.PathValue("taskmanagerid")
	for _, tm := range s.Cluster.TaskManagers() {
		if tm.ID == id {
			return detailsOf(tm), nil
		}
	}
	return nil, internal("No TaskExecutor registered under %s.", id)
}

func detailsOf(tm view.TaskManager) taskManagerDetails {
	details := taskManagerDetails{
		taskManagerInfo: infoOf(tm), AllocatedSlots: make([]allocatedSlot, len(tm.Allocated)),
		Metrics: taskManagerLoad{
			HeapUsed: tm.HeapBytes, HeapCommitted: tm.HeapBytes, HeapMax: tm.LimitBytes,
			NonHeapUsed: nonHeap(tm), NonHeapCommitted: nonHeap(tm), NonHeapMax: -1,
			GarbageCollectors: []struct{}{},
		},
	}
	for i, job := range tm.Allocated {
		details.AllocatedSlots[i] = allocatedSlot{job, resourcesOf(tm, 1)}
	}
	return details
}

// nonHeap is what the process has in memory beside its heap.
func nonHeap(tm view.TaskManager) int64 { return max(tm.ResidentBytes-tm.HeapBytes, 0) }
