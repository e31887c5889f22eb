package replica

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// wire is the port of Raft. Jobmanagers also ask each other there how they are, by HTTP: the first byte of a connection tells which,
// for Raft's calls begin with their number and HTTP's with a letter.
type wire struct {
	listener   net.Listener
	advertised net.Addr
	raft, http chan net.Conn
	closed     chan struct{}
	close      sync.Once
}

var _ raft.StreamLayer = (*wire)(nil)

// sniffTimeout bounds the wait for a connection's first byte.
const sniffTimeout = 10 * time.Second

func listen(address string, advertised net.Addr) (*wire, error) {
	listener, err := net.Listen("tcp", address) //nolint:noctx // the address is this machine's: nothing to wait for
	if err != nil {
		return nil, err
	}
	w := &wire{listener: listener, advertised: advertised, raft: make(chan net.Conn), http: make(chan net.Conn), closed: make(chan struct{})}
	go w.accept()
	return w, nil
}

func (w *wire) accept() {
	for {
		conn, err := w.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of files, say: others close some
			select {
			case <-time.After(100 * time.Millisecond):
			case <-w.closed:
			}
			continue
		}
		go w.sort(conn)
	}
}

// begun is a connection whose first byte was read.
type begun struct {
	net.Conn
	rest io.Reader
}

// Read implements net.Conn.
func (b begun) Read(p []byte) (int, error) { return b.rest.Read(p) }

func (w *wire) sort(conn net.Conn) {
	first := make([]byte, 1)
	err := conn.SetReadDeadline(time.Now().Add(sniffTimeout))
	if err == nil {
		_, err = io.ReadFull(conn, first)
	}
	if err == nil {
		err = conn.SetReadDeadline(time.Time{})
	}
	if err != nil {
		_ = conn.Close() // it said nothing
		return
	}
	to := w.raft
	if first[0] >= 'A' {
		to = w.http
	}
	select {
	case to <- begun{conn, io.MultiReader(bytes.NewReader(first), conn)}:
	case <-w.closed:
		_ = conn.Close() // nobody serves it
	}
}

// Accept implements raft.StreamLayer.
func (w *wire) Accept() (net.Conn, error) { return w.from(w.raft) }

func (w *wire) from(conns chan net.Conn) (net.Conn, error) {
	select {
	case conn := <-conns:
		return conn, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

// Close implements raft.StreamLayer.
func (w *wire) Close() error {
	var err error
	w.close.Do(func() {
		close(w.closed)
		err = w.listener.Close()
	})
	return err
}

// Addr implements raft.StreamLayer.
func (w *wire) Addr() net.Addr { return w.advertised }

// Dial implements raft.StreamLayer.
func (w *wire) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	return net.DialTimeout("tcp", string(address), timeout) //nolint:noctx // raft's interface has none
}

// questions is the listener of the HTTP that comes in on a wire.
type questions struct{ *wire }

// Accept implements net.Listener.
func (q questions) Accept() (net.Conn, error) { return q.from(q.http) }

// standing is what a node tells others of itself.
type standing struct {
	ID      string   `json:"id"`
	Joining bool     `json:"joining,omitempty"` // its disk was empty, and it has not caught up
	State   string   `json:"state"`             // one of States
	Term    uint64   `json:"term"`
	LastLog position `json:"lastLog"`
	Applied uint64   `json:"applied"`
	Members []member `json:"members"` // of the newest configuration in its log
}

type position struct {
	Term  uint64 `json:"term"`
	Index uint64 `json:"index"`
}

type member struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	Voter   bool   `json:"voter"`
}

// standingPath is where a node tells it.
const standingPath = "/standing"

// askTimeout bounds a question to another node.
const askTimeout = time.Second

// serveStanding answers others until the wire is closed.
func serveStanding(w *wire, tell func() standing) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+standingPath, func(out http.ResponseWriter, _ *http.Request) {
		text, err := json.Marshal(tell())
		if err != nil {
			http.Error(out, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = out.Write(text) // who asked and went away asks again
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: sniffTimeout, IdleTimeout: sniffTimeout}
	go func() { _ = server.Serve(questions{w}) }() // it ends with the wire
	return server
}

// asking are questions to other nodes, a connection each: one that is kept may lead into a network that is gone.
var asking = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: askTimeout}

// ask asks the node at an address how it is.
func ask(ctx context.Context, address string) (standing, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+standingPath, http.NoBody)
	if err != nil {
		return standing{}, fmt.Errorf("address %q: %w", address, err)
	}
	answer, err := asking.Do(request)
	if err != nil {
		return standing{}, err
	}
	defer func() { _ = answer.Body.Close() }() // it was read, or does not matter
	var told standing
	if answer.StatusCode != http.StatusOK {
		return standing{}, fmt.Errorf("%s answers %s", address, answer.Status)
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&told); err != nil {
		return standing{}, fmt.Errorf("%s gives no jobmanager's answer: %w", address, err)
	}
	return told, nil
}
