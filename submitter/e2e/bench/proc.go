package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// What the kernel tells of processes and of the machine, as proc(5) has it: Linux only.

// clockTick is the unit of times in /proc/*/stat. It is 10 ms for programs on every architecture that Go runs on.
const clockTick = 10 * time.Millisecond

// cpuOf returns the CPU time that a process has used, in user and kernel mode.
func cpuOf(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the program's name in brackets, with any characters in it. utime and stime are the 14th and 15th.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read CPU time of process %d: %w", pid, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// The fields of /proc/*/status that are looked at.
const (
	residentNow  = "VmRSS:"
	residentPeak = "VmHWM:"
)

// memoryOf returns a field of a process's status, in MiB.
func memoryOf(pid int, field string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	value, ok := fieldOf(string(text), field)
	kib, err := strconv.ParseFloat(strings.TrimSuffix(value, " kB"), 64)
	if !ok || err != nil {
		return 0, fmt.Errorf("read memory of process %d: %s is %q", pid, field, value)
	}
	return kib / 1024, nil
}

// fieldOf returns the value of the first line of text that begins with name.
func fieldOf(text, name string) (string, bool) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

// machine is what a result depends on.
type machine struct {
	CPU   string `json:"cpu"`
	Cores int    `json:"cores"`
	// Load is the average of runnable processes over 1, 5 and 15 minutes.
	Load string `json:"load"`
}

func thisMachine(cores int) (machine, error) {
	cpus, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return machine{}, err
	}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return machine{}, err
	}
	model, _ := fieldOf(string(cpus), "model name") // not told on every architecture
	return machine{
		CPU: strings.TrimLeft(model, "\t: "), Cores: cores, Load: strings.Join(strings.Fields(string(load))[:3], " "),
	}, nil
}
