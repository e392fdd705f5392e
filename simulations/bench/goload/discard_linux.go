package main

import (
	"io"
	"net"
	"syscall"
)

// discard takes up to len(p) bytes off the connection without copying them anywhere.
func discard(conn *net.TCPConn, p []byte) (n int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	waitErr := raw.Read(func(fd uintptr) bool {
		n, _, err = syscall.Recvfrom(int(fd), p, syscall.MSG_TRUNC)
		return err != syscall.EAGAIN
	})
	if waitErr != nil {
		return 0, waitErr
	}
	if err == nil && n == 0 {
		err = io.EOF
	}
	return max(n, 0), err
}
