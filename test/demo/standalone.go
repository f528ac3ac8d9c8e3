package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
	"github.com/switcheroo/switcheroo/test/load"
)

// alone is the story of `switcheroo run`, without daemon and systemd. One
// goroutine runs it, and does all the printing.
type alone struct {
	screen         *screen
	server, client *host.Client
	network        *host.Network
	ipv6           bool
	load           string

	began   time.Time // when the operator's last command was typed
	lines   chan line
	clients *clients
	counter *time.Ticker
}

// line is one that a `switcheroo run` has printed, or its end.
type line struct {
	at   time.Time
	of   *running
	text string
	end  bool
}

// running is a `switcheroo run` of a version.
type running struct {
	version string
	cmd     *host.Cmd
	said    []string
	ended   bool
}

func (r *running) has(text string) bool {
	for _, s := range r.said {
		if strings.Contains(s, text) {
			return true
		}
	}
	return false
}

// Where the demo's files are for the server.
const (
	aloneDir  = "/opt"
	appFolder = aloneDir + "/myapp"
)

// performStandalone makes a place for servers and one for clients, and tells
// the story there.
func performStandalone(ctx context.Context, o options, out *screen) (*result, error) {
	if err := check(ctx); err != nil {
		return nil, err
	}
	root, err := findRoot(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "switcheroo-demo-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out.title("switcheroo run: a new version goes live by starting it, and no client notices")
	b, err := build(ctx, root, dir, "switcheroo", o.switcheroo)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := &alone{screen: out, load: b.load, lines: make(chan line), counter: time.NewTicker(countEvery)}
	defer a.counter.Stop()
	defer a.close()
	if err := a.set(ctx, dir, b); err != nil {
		return nil, err
	}
	r, err := a.tell(ctx)
	if err != nil {
		return nil, err
	}
	out.title("What the clients saw")
	r.counters(out.w)
	r.details(out.w)
	out.verdict(r)
	return r, nil
}

// set makes the places. What the server's sees of /opt, /run and /usr/bin is
// its own.
func (a *alone) set(ctx context.Context, dir string, b binaries) error {
	var err error
	if a.network, err = host.NewNetwork(ctx); err != nil {
		return err
	}
	_, err = os.Stat("/proc/net/if_inet6")
	a.ipv6 = err == nil
	s := &stage{ipv6: a.ipv6}
	if a.server, err = a.network.Client(ctx, s.addresses(host4, host6)...); err != nil {
		return err
	}
	if a.client, err = a.network.Client(ctx, s.addresses(client4, client6)...); err != nil {
		return err
	}
	app := filepath.Join(dir, "myapp")
	if err := os.Mkdir(app, 0o755); err != nil {
		return err
	}
	for _, v := range versions {
		text := fmt.Sprintf("#!/bin/sh\nexec %s -version %s %s -listen :$1\n", filepath.Join(aloneDir, filepath.Base(b.server)), v.name, v.args)
		if err := os.WriteFile(filepath.Join(app, v.name), []byte(text), 0o755); err != nil {
			return err
		}
	}
	script := `set -e
mount -t tmpfs tmpfs /run
mkdir /run/bin
touch /run/bin/switcheroo
mount --bind "$1" /run/bin/switcheroo
mount --bind "$2" ` + aloneDir
	_, err = a.server.Run(ctx, "sh", "-c", script, "sh", b.shown, dir)
	return err
}

// close removes the places that were made.
func (a *alone) close() {
	if a.client != nil {
		a.client.Close()
	}
	if a.server != nil {
		a.server.Close()
	}
	if a.network != nil {
		a.network.Close()
	}
}

// types shows a command as typed at the server's prompt, and starts it.
func (a *alone) types(ctx context.Context, version string, args ...string) (*running, error) {
	args = append(append([]string{"switcheroo", "run", "-l", publicPort}, args...), "--notify", "--", "./"+version, "{port}")
	a.screen.prompt(hostName, args)
	a.began = time.Now()
	a.counter.Reset(countEvery)
	r := &running{version: version, cmd: a.server.Cmd(ctx, append([]string{"sh", "-c", "cd " + appFolder + ` && exec "$0" "$@"`, "/run/bin/switcheroo"}, args[1:]...)...)}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	r.cmd.Stdout, r.cmd.Stderr = in, in
	err = r.cmd.Start()
	in.Close()
	if err != nil {
		out.Close()
		return nil, err
	}
	go a.read(ctx, r, out)
	return r, nil
}

// read passes on what a `switcheroo run` prints.
func (a *alone) read(ctx context.Context, r *running, out io.ReadCloser) {
	defer out.Close()
	send := func(l line) {
		select {
		case a.lines <- l:
		case <-ctx.Done():
		}
	}
	for scanner := bufio.NewScanner(out); scanner.Scan(); {
		send(line{at: time.Now(), of: r, text: scanner.Text()})
	}
	r.cmd.Wait()
	send(line{at: time.Now(), of: r, end: true})
}

// until tells what happens until done returns true.
func (a *alone) until(ctx context.Context, what string, done func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, hinted{
		fmt.Errorf("waited %s for %s", human(patience), what),
		"if this machine is very busy, try again; else please report it with all that was printed",
	})
	defer cancel()
	for !done() {
		select {
		case l := <-a.lines:
			a.note(l)
		case <-a.counter.C:
			if a.clients != nil {
				a.step("clients", faint, counted(a.clients.soFar()))
			}
		case <-time.After(look):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// note tells a line of a `switcheroo run`.
func (a *alone) note(l line) {
	if l.end {
		l.of.ended = true
		return
	}
	l.of.said = append(l.of.said, l.text)
	text, ours := strings.CutPrefix(l.text, "switcheroo: ")
	if !ours {
		return // the server's own
	}
	text = strings.TrimPrefix(text, publicPort+": ")
	m := plain
	switch {
	case strings.HasPrefix(text, "ready:"):
		m = good
	case strings.HasPrefix(text, "error:"), strings.HasPrefix(text, "hint:"):
		m = bad
	}
	a.screen.step(a.began, step{At: l.at, Who: "run " + l.of.version, Text: text, Mood: m})
}

func (a *alone) step(who string, m mood, text string) {
	a.screen.step(a.began, step{At: time.Now(), Who: who, Text: text, Mood: m})
}

// comesHere is what a version says that has got the port.
const comesHere = "new connections come here"

// deploy starts a version and returns when new connections go to it.
func (a *alone) deploy(ctx context.Context, version string, options ...string) (*running, error) {
	r, err := a.types(ctx, version, options...)
	if err != nil {
		return nil, err
	}
	if err := a.until(ctx, version+" to be ready", func() bool { return r.ended || r.has(comesHere) }); err != nil {
		return nil, err
	}
	if r.ended {
		return nil, fmt.Errorf("%s has ended:\n%s", version, strings.Join(r.said, "\n"))
	}
	return r, nil
}

// asks shows which version answers a new connection, and wants it to be this.
func (a *alone) asks(ctx context.Context, want string) error {
	got, err := ask(ctx, a.outside())
	if err != nil {
		return err
	}
	a.step("client", plain, fmt.Sprintf("dials %s:%s once more: %s answers", host4, publicPort, got))
	if got != want {
		return fmt.Errorf("%s answers a new connection, not %s", got, want)
	}
	return nil
}

// outside is the place on another host.
func (a *alone) outside() place {
	return place{a.client.Guest, a.load, targets(a.ipv6, host4, host6)}
}

// inside is the place on the server's own.
func (a *alone) inside() place {
	return place{a.server.Guest, a.load, targets(a.ipv6, "127.0.0.1", host4, "::1", host6)}
}

// Times of the story, which is to be a short one.
const (
	aloneStream  = 3 * time.Second
	aloneStandby = "1s"
	aloneTimeout = "2s"
)

// tell tells the story and returns what came of it.
func (a *alone) tell(ctx context.Context) (*result, error) {
	begin := time.Now()
	a.screen.say("%s and another host are namespaces: nothing of this machine is changed. No daemon runs, and no systemd. "+
		"v1, v2 and v3 are versions of a server that listens on the port it is given, and says READY=1.", hostName)
	one, err := a.deploy(ctx, "v1", "--standby", aloneStandby)
	if err != nil {
		return nil, err
	}
	n := shortClients + keepAliveClients
	a.screen.say("%d clients on another host, and %d on %s itself, now open connections all the time. One more reads a stream that lasts %s. Here is v2:",
		n, n, hostName, human(aloneStream))
	if a.clients, err = work(ctx, a.outside(), a.inside()); err != nil {
		return nil, err
	}
	stream, err := openStream(ctx, a.outside(), aloneStream)
	if err != nil {
		return nil, err
	}
	if _, err = a.deploy(ctx, "v2", "--standby", aloneStandby); err != nil {
		return nil, err
	}
	if err := a.asks(ctx, "v2"); err != nil {
		return nil, err
	}
	if err := a.until(ctx, "v1 to end", func() bool { return one.ended && stream.ended() }); err != nil {
		return nil, err
	}
	if stream.err != nil {
		return nil, stream.err
	}
	a.screen.say("v1 has sent its stream to the end, and only then got SIGTERM. v3 never says that it is ready:")
	three, err := a.types(ctx, "v3", "--ready-timeout", aloneTimeout)
	if err != nil {
		return nil, err
	}
	if err := a.until(ctx, "v3 to give up", func() bool { return three.ended }); err != nil {
		return nil, err
	}
	if three.has(comesHere) {
		return nil, errors.New("v3 got connections")
	}
	if err := a.asks(ctx, "v2"); err != nil {
		return nil, err
	}
	return a.conclude(stream, begin)
}

// conclude sends the clients home and returns what they saw.
func (a *alone) conclude(st *stream, begin time.Time) (*result, error) {
	network, local, err := a.clients.stop()
	if err != nil {
		return nil, err
	}
	all := &load.Result{}
	for _, r := range []*load.Result{network, local, st.result} {
		all.Merge(r)
	}
	if err := all.Valid(); err != nil {
		return nil, err
	}
	return newResult(all, local, times{}, time.Since(begin)), nil
}
