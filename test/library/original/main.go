// Command original behaves like a program that uses the original library, as far
// as others can tell: it listens on a free port from 40400 on, puts a REDIRECT
// rule into PREROUTING and, if told so, into OUTPUT, with a comment that names
// itself, deletes those of a process before it by number, and signals that.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/switcheroo/switcheroo/test/server/wire"
)

func main() {
	name := flag.String("name", "myapp", "namespace")
	port := flag.Int("port", 8080, "incoming port")
	version := flag.String("version", "original", "version to answer with")
	localhost := flag.Bool("localhost", false, "redirect connections from this host, too")
	flag.Parse()
	if err := run(*name, *port, *version, *localhost); err != nil {
		fmt.Fprintln(os.Stderr, "original: error:", err)
		os.Exit(1)
	}
}

func run(name string, port int, version string, localhost bool) error {
	term, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	l, err := free(40400, 40499)
	if err != nil {
		return err
	}
	private := l.Addr().(*net.TCPAddr).Port
	fmt.Println("listening", private)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(wire.VersionHeader, version)
		fmt.Fprintln(w, version)
	})}
	go server.Serve(l)
	chains := []string{"PREROUTING"}
	if localhost {
		chains = append(chains, "OUTPUT")
	}
	var old []int
	for _, chain := range chains {
		pid, err := replace(chain, name, port, private)
		if err != nil {
			return err
		}
		old = append(old, pid...)
	}
	for _, pid := range old {
		syscall.Kill(pid, syscall.SIGTERM)
	}
	fmt.Println("ready")
	<-term.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err = server.Shutdown(ctx)
	fmt.Println("ended")
	return err
}

func free(first, last int) (net.Listener, error) {
	for port := first; port <= last; port++ {
		if l, err := net.Listen("tcp", ":"+strconv.Itoa(port)); err == nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("no free port")
}

// replace puts the new rule first, and deletes those of the same name, by number
// and from the last one on, as the original does.
func replace(chain, name string, port, private int) (old []int, err error) {
	comment := fmt.Sprintf("SWITCHEROO:ns=%s:port=%d:pid=%d", name, private, os.Getpid())
	rule := []string{"-t", "nat", "-I", chain, "-p", "tcp", "--dport", strconv.Itoa(port),
		"-m", "comment", "--comment", comment, "-j", "REDIRECT", "--to-ports", strconv.Itoa(private)}
	if chain == "OUTPUT" {
		rule = append(rule[:4:4], append([]string{"-o", "lo"}, rule[4:]...)...)
	}
	if err := exec.Command("iptables", rule...).Run(); err != nil {
		return nil, err
	}
	out, err := exec.Command("iptables", "-t", "nat", "-S", chain).Output()
	if err != nil {
		return nil, err
	}
	pattern := regexp.MustCompile("SWITCHEROO:ns=" + name + `:port=\d+:pid=(\d+)`)
	lines := strings.Split(string(out), "\n")[1:] // the policy comes first
	for i := len(lines) - 1; i >= 0; i-- {
		m := pattern.FindStringSubmatch(lines[i])
		if m == nil || m[1] == strconv.Itoa(os.Getpid()) {
			continue
		}
		if err := exec.Command("iptables", "-t", "nat", "-D", chain, strconv.Itoa(i+1)).Run(); err != nil {
			return nil, err
		}
		if pid, err := strconv.Atoi(m[1]); err == nil && chain == "PREROUTING" {
			old = append(old, pid)
		}
	}
	return old, nil
}
