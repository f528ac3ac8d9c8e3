package switcheroo_test

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/switcheroo/switcheroo"
)

// What a program for the original library looks like, unchanged but for the
// import path.
func ExampleNewSwitcheroo() {
	logger := log.New(os.Stderr, "", log.LstdFlags)
	s, err := switcheroo.NewSwitcheroo("original-example", 8082, logger)
	if err != nil {
		fmt.Println(err)
		return
	}
	s.SetFlags(switcheroo.ENABLE_NETWORK | switcheroo.ENABLE_LOCALHOST)
	l, finish, err := s.Begin()
	if err != nil {
		fmt.Println(err)
		return
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello")
	}))
	if err := finish(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(get("http://127.0.0.1:8082/"))
	fmt.Println(s.Cleanup())
	// Output:
	// hello <nil>
	// <nil>
}

// Every name, default and refusal of the original's API.
func TestCompatible(t *testing.T) {
	mine := func(args ...string) *exec.Cmd { return exec.Command("iptables", args...) }
	var s *switcheroo.Switcheroo = switcheroo.NewSwitcherooWithIptablesCmd("ns", 80, nil, mine)
	if s.Namespace != "ns" || s.IncomingPort != 80 || s.PortMin != 40400 || s.PortMax != 40499 ||
		s.Flags != switcheroo.ENABLE_NETWORK || s.Logger != nil || s.IptablesCmd == nil {
		t.Errorf("defaults: %+v", s)
	}
	if switcheroo.ENABLE_NETWORK != 1 || switcheroo.ENABLE_LOCALHOST != 2 {
		t.Error("the flags have other values")
	}
	long := strings.Repeat("n", 181)
	for name, f := range map[string]func(string, int, *log.Logger) (*switcheroo.Switcheroo, error){
		"NewSwitcheroo": switcheroo.NewSwitcheroo, "NewSwitcherooWithSudoIptables": switcheroo.NewSwitcherooWithSudoIptables,
	} {
		if _, err := f(long, 80, nil); err == nil || !strings.Contains(err.Error(), "181") {
			t.Errorf("%s with a namespace of 181: %v", name, err)
		}
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a namespace of 181 does not panic")
			}
		}()
		switcheroo.NewSwitcherooWithIptablesCmd(long, 80, nil, mine)
	}()
	switcheroo.NewSwitcherooWithIptablesCmd(long[:180], 80, nil, mine)
	s.SetFlags(0)
	if _, _, err := s.Begin(); err == nil {
		t.Error("no flags, and no error")
	}
	// Fields may be set by hand, as in the original.
	s = &switcheroo.Switcheroo{Namespace: "by-hand", IncomingPort: 8083, PortMin: 61600, PortMax: 61600, IptablesCmd: mine, Flags: switcheroo.ENABLE_LOCALHOST}
	l, finish, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(l.Addr().String(), ":61600") {
		t.Errorf("listening on %v", l.Addr())
	}
	go http.Serve(l, http.NotFoundHandler())
	if err := finish(); err != nil {
		t.Fatal(err)
	}
	if err := finish(); err == nil {
		t.Error("a second finish is no error")
	}
	if _, err := get("http://127.0.0.1:8083/"); err != nil {
		t.Error(err)
	}
	if err := s.Cleanup(); err != nil {
		t.Error(err)
	}
	if _, err := get("http://127.0.0.1:8083/"); err == nil {
		t.Error("answered after Cleanup")
	}
}
