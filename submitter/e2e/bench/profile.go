package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// profileTime is how much of a job a CPU profile covers; it begins with the submission.
const profileTime = 3 * time.Second

// startProfile takes a CPU profile of a program from its metrics address into name.cpu, and when finish is called a profile of
// its allocations since the start into name.allocs.
func startProfile(ctx context.Context, address, name string) (finish func() error) {
	done := make(chan error, 1)
	go func() {
		done <- download(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%.0f", address, profileTime.Seconds()), name+".cpu")
	}()
	return func() error {
		if err := <-done; err != nil {
			return err
		}
		return download(ctx, "http://"+address+"/debug/pprof/allocs", name+".allocs")
	}
}

func download(ctx context.Context, url, file string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // it was read, or does not matter
	content, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: %s: %w", url, answer.Status, err)
	}
	return os.WriteFile(file, content, 0o644)
}
