// Command gofileserver serves a directory with Go's own net/http file server: the baseline of the benchmarks.
//
//	gofileserver -dir DIR [-listen 127.0.0.1:0]
//
// Prints "ready http://HOST:PORT" on a line of its own.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
)

func main() {
	dir := flag.String("dir", ".", "what to serve")
	listen := flag.String("listen", "127.0.0.1:0", "host:port; port 0 takes a free one")
	flag.Parse()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("ready http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, http.FileServer(http.Dir(*dir))))
}
