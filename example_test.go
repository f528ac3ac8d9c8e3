package switcheroo_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/switcheroo/switcheroo"
)

// A whole server: to deploy it, start the new version.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()

	h, err := switcheroo.Listen(ctx, switcheroo.Options{
		Name:   "example",
		Listen: []string{"8080"},
		Log:    slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()

	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello from the new version")
	})}
	go server.Serve(h.Listener())

	if err := h.Ready(ctx); err != nil { // the old version keeps the traffic
		fmt.Println(err)
		return
	}
	answer, err := get("http://127.0.0.1:8080/") // a client
	fmt.Println(answer, err)
	stop() // as SIGTERM does

	<-h.Done()

	// If nobody has followed us clients are refused from here on, and those who
	// are connected are served to the end.
	last, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := h.Withdraw(last); err != nil {
		fmt.Println(err)
	}
	if err := h.Drain(last); err != nil {
		fmt.Println(err)
	}
	server.Shutdown(last)
	// Output: hello from the new version <nil>
}

// With sudo, for a program that has no privilege itself.
func ExampleListen_sudo() {
	sudo := func(command string) func(args ...string) *exec.Cmd {
		return func(args ...string) *exec.Cmd {
			return exec.Command("sudo", append([]string{"-n", command}, args...)...)
		}
	}
	_, err := switcheroo.Listen(context.Background(), switcheroo.Options{
		Name:      "example",
		Listen:    []string{"0"}, // not a port
		Iptables:  sudo("iptables"),
		IP6tables: sudo("ip6tables"),
	})
	fmt.Println(err)
	// Output: switcheroo: endpoint "0": not a port from 1 to 65535
}

// The port for a server that is another process.
func ExampleHandover_Port() {
	h, err := switcheroo.Listen(context.Background(), switcheroo.Options{
		Name:     "child",
		Listen:   []string{"8081"},
		PortOnly: true,
		PortMin:  61500,
		PortMax:  61500,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()
	fmt.Println("run the server with --port", h.Port(), "and then call Ready")
	// Output: run the server with --port 61500 and then call Ready
}

// What is served on this host.
func ExampleList() {
	services, err := switcheroo.List(context.Background(), switcheroo.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range services {
		fmt.Println(s.Name, s.Listen)
		for _, p := range s.Processes {
			fmt.Println(" ", p.PID, p.Port, p.Current)
		}
	}
	// Output:
}

func get(url string) (string, error) {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b := make([]byte, 100)
	n, _ := r.Body.Read(b)
	return string(b[:n]), nil
}
