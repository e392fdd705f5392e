//go:build !linux

package main

import "net"

// discard reads: only Linux throws bytes away unread.
func discard(conn *net.TCPConn, p []byte) (int, error) { return conn.Read(p) }
