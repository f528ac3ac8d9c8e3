package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/switcheroo/switcheroo/internal/api"
)

// unnamed is what the listener of an endpoint without a name is called.
const unnamed = "switcheroo"

// passListeners puts the listeners where sd_listen_fds(3) looks for them, behind
// those that systemd has passed itself, and returns the environment that says
// so.
func passListeners(env []string, ports []api.PrivatePort, listeners []*os.File) ([]string, error) {
	before := alreadyPassed()
	var names []string
	if given := os.Getenv("LISTEN_FDNAMES"); given != "" && before > 0 {
		names = strings.Split(given, ":")
	}
	for len(names) < before {
		names = append(names, "unknown")
	}
	names = names[:before]
	for _, p := range ports {
		name := p.Name
		if name == "" {
			name = unnamed
		}
		names = append(names, name)
	}
	if err := place(listeners); err != nil {
		return nil, err
	}
	return replaced(env, map[string]string{
		"LISTEN_PID":     strconv.Itoa(os.Getpid()), // it stays what it is over exec
		"LISTEN_FDS":     strconv.Itoa(len(names)),
		"LISTEN_FDNAMES": strings.Join(names, ":"),
	}), nil
}

// portEnvironment returns env with $PORT, and with $PORT_NAME for each named
// endpoint.
func portEnvironment(env []string, ports []api.PrivatePort) []string {
	set := map[string]string{}
	for _, p := range ports {
		number := strconv.Itoa(int(p.Port))
		if len(ports) == 1 || p.Name == "" {
			set["PORT"] = number
		}
		if p.Name != "" {
			set["PORT_"+capitals(p.Name)] = number
		}
	}
	return replaced(env, set)
}

// capitals returns a name as it can stand in that of a variable.
func capitals(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, name)
}

// replaced returns env with variables set anew.
func replaced(env []string, set map[string]string) []string {
	var all []string
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		if _, ours := set[name]; !ours {
			all = append(all, e)
		}
	}
	for name, value := range set {
		all = append(all, name+"="+value)
	}
	return all
}

// portWord is what stands for a port in a command's arguments: {port}, or
// {port:NAME}.
var portWord = regexp.MustCompile(`\{port(:[^{}]*)?\}`)

func namesPort(arg string) bool { return portWord.MatchString(arg) }

// withPorts returns a command's arguments with the numbers in them.
func withPorts(args []string, ports []api.PrivatePort) ([]string, error) {
	var wrong error
	out := make([]string, len(args))
	for i, arg := range args {
		out[i] = portWord.ReplaceAllStringFunc(arg, func(word string) string {
			number, err := portOf(word, ports)
			if err != nil {
				wrong = err
			}
			return number
		})
	}
	return out, wrong
}

func portOf(word string, ports []api.PrivatePort) (string, error) {
	name, named := strings.CutPrefix(strings.Trim(word, "{}"), "port:")
	if !named {
		name = ""
	}
	var known []string
	for _, p := range ports {
		if named && p.Name == name || !named && (len(ports) == 1 || p.Name == "") {
			return strconv.Itoa(int(p.Port)), nil
		}
		known = append(known, fmt.Sprintf("{port:%s}", p.Name))
	}
	hint := "write " + strings.Join(known, ", ")
	if named {
		return "", usageError{hinted{fmt.Errorf("%s: no endpoint is named %q", word, name), hint}}
	}
	return "", usageError{hinted{errors.New("{port}: there are several endpoints"), hint}}
}
