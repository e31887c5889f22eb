package localcluster_test

import (
	"net"
	"sync"
)

// network is what lies between a broker and everybody else. It can be cut.
type network struct {
	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func (n *network) listen(kind, address string) (net.Listener, error) {
	listener, err := net.Listen(kind, address)
	return &wire{Listener: listener, network: n}, err
}

// wire is a listener whose connections the network can break.
type wire struct {
	net.Listener
	network *network
}

// Accept implements net.Listener. While the network is cut it drops whoever comes.
func (w *wire) Accept() (net.Conn, error) {
	for {
		conn, err := w.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if w.network.keep(conn) {
			return conn, nil
		}
		_ = conn.Close() // as a broken network would
	}
}

func (n *network) keep(conn net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.cut {
		n.conns = append(n.conns, conn)
	}
	return !n.cut
}

// down breaks all connections, and each new one, until up.
func (n *network) down() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = true
	for _, conn := range n.conns {
		_ = conn.Close() // the broker closes it too
	}
	n.conns = nil
}

func (n *network) up() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = false
}
