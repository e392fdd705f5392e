// Command goload asks a server for URLs over keep-alive connections, one request at a time on each, and prints what it
// measured as one JSON object.
//
//	goload [-connections 8] [-duration 5s] [-requests 0] [-discard] URL...
//
// Every connection walks the list of URLs in turn, each starting at another one. Any answer but a 200 with a
// Content-Length counts as an error and ends the run with status 1. It writes and reads HTTP/1.1 by itself, with the
// headers of the go command: net/http's client would cost more than the servers that are measured. With -discard the
// kernel throws the bodies away instead of copying them out (Linux only), so that what is measured of a large file is
// the server and not this client.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type result struct {
	Connections    int     `json:"connections"`
	Seconds        float64 `json:"seconds"`
	Requests       int     `json:"requests"`
	RequestsPerS   float64 `json:"requests_per_s"`
	BytesPerS      float64 `json:"bytes_per_s"` // of bodies
	P50Ms          float64 `json:"p50_ms"`
	P99Ms          float64 `json:"p99_ms"`
	MaxMs          float64 `json:"max_ms"`
	Errors         int     `json:"errors"`
	FirstErrorText string  `json:"first_error,omitempty"`
}

type worker struct {
	host      string
	discard   bool
	requests  [][]byte
	latencies []time.Duration
	bytes     int64
	err       error
}

func main() {
	connections := flag.Int("connections", 8, "how many at once")
	duration := flag.Duration("duration", 5*time.Second, "how long")
	limit := flag.Int64("requests", 0, "stop after so many requests in all; 0: when the time is over")
	discard := flag.Bool("discard", false, "let the kernel throw bodies away (Linux)")
	flag.Parse()
	host, requests, err := prepare(flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "goload:", err)
		os.Exit(2)
	}
	workers := make([]*worker, *connections)
	var left atomic.Int64
	left.Store(*limit)
	var running sync.WaitGroup
	start := time.Now()
	for i := range workers {
		w := &worker{host: host, discard: *discard, requests: slices.Concat(requests[i%len(requests):], requests[:i%len(requests)])}
		workers[i] = w
		running.Add(1)
		go func() {
			defer running.Done()
			w.err = w.run(start.Add(*duration), &left, *limit > 0)
		}()
	}
	running.Wait()
	r := summary(workers, time.Since(start))
	json.NewEncoder(os.Stdout).Encode(r)
	if r.Errors > 0 {
		os.Exit(1)
	}
}

// prepare turns URLs of one host into the bytes of their requests.
func prepare(urls []string) (host string, requests [][]byte, err error) {
	if len(urls) == 0 {
		return "", nil, fmt.Errorf("no URL given")
	}
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil {
			return "", nil, err
		}
		if u.Scheme != "http" || (host != "" && host != u.Host) {
			return "", nil, fmt.Errorf("%s: only http URLs of one host", text)
		}
		host = u.Host
		requests = append(requests, []byte("GET "+u.RequestURI()+" HTTP/1.1\r\nHost: "+u.Host+
			"\r\nUser-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n\r\n"))
	}
	return host, requests, nil
}

func (w *worker) run(end time.Time, left *atomic.Int64, limited bool) error {
	conn, err := net.Dial("tcp", w.host)
	if err != nil {
		return err
	}
	defer conn.Close()
	reader := bufio.NewReaderSize(conn, 64<<10)
	scratch := make([]byte, 256<<10)
	read := reader.Read
	if w.discard {
		read = func(p []byte) (int, error) {
			if reader.Buffered() > 0 {
				return reader.Read(p)
			}
			return discard(conn.(*net.TCPConn), p)
		}
	}
	for i := 0; ; i++ {
		before := time.Now()
		if before.After(end) || (limited && left.Add(-1) < 0) {
			return nil
		}
		if _, err := conn.Write(w.requests[i%len(w.requests)]); err != nil {
			return err
		}
		size, err := readAnswer(reader, read, scratch)
		if err != nil {
			return err
		}
		w.bytes += size
		w.latencies = append(w.latencies, time.Since(before))
	}
}

// readAnswer reads one whole answer and returns the length of its body.
func readAnswer(reader *bufio.Reader, read func([]byte) (int, error), scratch []byte) (int64, error) {
	length := int64(-1)
	for first := true; ; first = false {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if first {
			if !strings.HasPrefix(string(line), "HTTP/1.1 200") {
				return 0, fmt.Errorf("answer: %s", strings.TrimSpace(string(line)))
			}
			continue
		}
		if len(line) <= 2 {
			break
		}
		const name = "Content-Length:"
		if len(line) > len(name) && strings.EqualFold(string(line[:len(name)]), name) {
			if length, err = strconv.ParseInt(strings.TrimSpace(string(line[len(name):])), 10, 64); err != nil {
				return 0, err
			}
		}
	}
	if length < 0 {
		return 0, fmt.Errorf("an answer without Content-Length")
	}
	for left := length; left > 0; {
		n, err := read(scratch[:min(left, int64(len(scratch)))])
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		left -= int64(n)
	}
	return length, nil
}

func summary(workers []*worker, took time.Duration) result {
	r := result{Connections: len(workers), Seconds: took.Seconds()}
	var all []time.Duration
	var bytes int64
	for _, w := range workers {
		all = append(all, w.latencies...)
		bytes += w.bytes
		if w.err != nil {
			r.Errors++
			r.FirstErrorText = w.err.Error()
		}
	}
	slices.Sort(all)
	at := func(share float64) float64 {
		if len(all) == 0 {
			return 0
		}
		return float64(all[int(share*float64(len(all)-1))]) / float64(time.Millisecond)
	}
	r.Requests = len(all)
	r.RequestsPerS = float64(len(all)) / took.Seconds()
	r.BytesPerS = float64(bytes) / took.Seconds()
	r.P50Ms, r.P99Ms, r.MaxMs = at(0.5), at(0.99), at(1)
	return r
}
