package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long something may take that takes well under a second on
// an idle machine.
const patience = 60 * time.Second

// tick is between two looks at a condition.
const tick = 20 * time.Millisecond

func commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"status": status, "await": await, "width": width, "hold": hold, "release": release,
		"says": says, "values": values, "screen": screen, "answers": answers,
	}
}

// run is "exec" of a program, and returns its exit status.
func run(ts *testscript.TestScript, args []string) int {
	err := ts.Exec(args[0], args[1:]...)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	ts.Fatalf("%v", err)
	return 0
}

// status is "exec" of a program that ends with this exit status.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status NUMBER PROGRAM [ARGUMENT...]")
	}
	if got := run(ts, args[1:]); strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}

// await repeats a program until its output matches.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: [!] await PATTERN PROGRAM [ARGUMENT...]")
	}
	want := regexp.MustCompile("(?m)" + args[0])
	for end := time.Now().Add(patience); ; time.Sleep(tick) {
		out, _ := exec.Command(args[1], args[2:]...).CombinedOutput()
		if want.Match(out) != neg {
			fmt.Fprint(ts.Stdout(), string(out))
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("not within %s; last:\n%s", patience, out)
		}
	}
}

// width wants no line of the last output to be wider.
func width(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: width COLUMNS")
	}
	most, err := strconv.Atoi(args[0])
	ts.Check(err)
	for _, name := range []string{"stdout", "stderr"} {
		for l := range strings.Lines(ts.ReadFile(name)) {
			if n := utf8.RuneCountInString(strings.TrimRight(l, "\n")); n > most {
				ts.Fatalf("%d columns on %s: %s", n, name, l)
			}
		}
	}
}

// held are connections that a session keeps open, by name.
var held sync.Map

type connection struct {
	net.Conn
	answers *bufio.Reader
}

// hold opens a connection and makes a request on it, which a version answers.
func hold(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: hold NAME ADDRESS VERSION")
	}
	conn, err := net.DialTimeout("tcp", args[1], patience)
	ts.Check(err)
	ts.Defer(func() { conn.Close() })
	held.Store(args[0], &connection{conn, bufio.NewReader(conn)})
	says(ts, false, []string{args[0], args[2]})
}

// says makes a request on a connection that is held, and wants a version to
// answer.
func says(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: says NAME VERSION")
	}
	v, ok := held.Load(args[0])
	if !ok {
		ts.Fatalf("%s is not held", args[0])
	}
	c := v.(*connection)
	ts.Check(c.SetDeadline(time.Now().Add(patience)))
	_, err := io.WriteString(c, "GET /version HTTP/1.1\r\nHost: test\r\n\r\n")
	ts.Check(err)
	got, err := answer(c.answers)
	ts.Check(err)
	if got != args[1] {
		ts.Fatalf("%q answers, want %s", got, args[1])
	}
}

// release ends a connection that is held.
func release(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: release NAME")
	}
	v, ok := held.LoadAndDelete(args[0])
	if !ok {
		ts.Fatalf("%s is not held", args[0])
	}
	ts.Check(v.(*connection).Close())
}

// answers wants a version to answer a new connection.
func answers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: answers ADDRESS VERSION")
	}
	hold(ts, false, []string{"one request", args[0], args[1]})
	release(ts, false, []string{"one request"})
}
