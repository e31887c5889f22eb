package localcluster_test

import (
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"pencere/submitter/internal/client"
)

// smallDiskVariable makes TestDiskFull mount its disk: it runs in a mount namespace of its own then.
const smallDiskVariable = "PENCERE_TEST_SMALL_DISK"

// A job whose directory has no room left fails and says where and what to do, harms nothing that is finished, and goes on by
// itself when there is room.
//
// The disk is a tmpfs. The test needs to be root, or a kernel that lets users make namespaces (sysctl
// kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns).
func TestDiskFull(t *testing.T) {
	if os.Getenv(smallDiskVariable) == "" {
		inOwnNamespace(t)
		return
	}
	t.Run("without restarts", func(t *testing.T) {
		j, finished, _ := fillDisk(t, 0)
		j.end(client.Failed)
		j.failure(j.dir, "no space left on device", "free space on the file system of "+j.dir)
		j.wantRows(finished)
		j.nothingHidden()
		j.intact()
	})
	t.Run("with restarts", func(t *testing.T) {
		j, finished, all := fillDisk(t, 1_000_000)
		j.failure(j.dir, "no space left on device", "free space on the file system of "+j.dir)
		j.wantRows(finished)
		j.intact()
		j.check(mount(j.dir, syscall.MS_REMOUNT, "size=16m"))
		j.awaitRows(all)
		j.cancel()
		j.wantRows(all)
		j.nothingHidden()
		j.intact()
	})
}

// fillDisk starts a job whose first window fits on a small disk, waits for its rows, and lets a window follow that does not fit. It
// returns the rows of the first and of both.
func fillDisk(t *testing.T, restarts int) (j job, first, both []string) {
	t.Helper()
	f, dir := newFixture(t, 1), newSmallDisk(t)
	var fits, more []string
	for i := range 300 {
		fits = append(fits, at(i, float64(i)/3).json())
	}
	for i := range 20_000 {
		more = append(more, at(i, 126+float64(i)/200).json())
	}
	s := spec{topic: f.topic(partitions{append(fits, more[0])}), parallelism: 1, restarts: restarts}
	first, _ = s.oracle(partitions{fits})
	both, _ = s.oracle(partitions{slices.Concat(fits, more)})
	j = f.submitTo(dir, s)
	j.awaitRows(first)
	f.produce(s.topic, partitions{append(more[1:], at(1, 1000).json())})
	return j, first, both
}

// inOwnNamespace runs the test a second time, in a process that sees mounts of its own, as root of a user namespace if need be.
func inOwnNamespace(t *testing.T) {
	t.Helper()
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), smallDiskVariable+"=1")
	again.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		again.SysProcAttr.Unshareflags = 0
		again.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS
		again.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		again.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	if out, err := again.CombinedOutput(); err != nil {
		t.Fatalf("in a mount namespace, which only root may make, or users of a kernel that lets them: %v\n%s", err, out)
	}
}

// newSmallDisk returns a directory with room for 256 KiB.
func newSmallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := mount(dir, 0, "size=256k"); err != nil {
		t.Fatalf("mount a disk of 256 KiB: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func mount(dir string, flags uintptr, options string) error {
	return syscall.Mount("tmpfs", dir, "tmpfs", flags, options)
}
