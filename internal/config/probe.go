package config

import (
	"net/url"
	"strings"
)

// ProbeKind says how readiness is verified before a switch.
type ProbeKind uint8

const (
	ProbeTCP ProbeKind = iota // connected and accepted
	ProbeHTTP
	ProbeNone
)

// Probe is the value of Probe=.
type Probe struct {
	Kind ProbeKind
	Path string // ProbeHTTP: the request path, "/healthz"
}

// String returns what Probe= would say.
func (p Probe) String() string {
	switch p.Kind {
	case ProbeHTTP:
		return "http:" + p.Path
	case ProbeNone:
		return "none"
	}
	return "tcp"
}

func parseProbe(s string) (Probe, *fault) {
	kind, path, hasPath := strings.Cut(s, ":")
	switch {
	case s == "tcp":
		return Probe{Kind: ProbeTCP}, nil
	case s == "none":
		return Probe{Kind: ProbeNone}, nil
	case kind == "http" && path == "":
		return Probe{}, faultf(`write the path to ask for: "http:/"`, "no path")
	case kind == "http" && strings.HasPrefix(path, "//"):
		return Probe{}, faultf(`write the path only: "http:/healthz"`, "the address is the instance's own")
	case kind == "http":
		return Probe{Kind: ProbeHTTP, Path: path}, checkPath(path)
	case kind == "https":
		return Probe{}, faultf(`expected "tcp" or "http:/PATH"`, "no probe speaks TLS")
	case hasPath && (kind == "tcp" || kind == "none"):
		return Probe{}, faultf("write "+kind, "nothing can follow %q", kind)
	case nearest(kind, []string{"http"}) != "" && hasPath:
		return Probe{}, faultf(`did you mean "http:`+path+`"?`, "unknown probe %s", quote(kind))
	case strings.HasPrefix(s, "/"):
		return Probe{}, faultf(`did you mean "http:`+s+`"?`, "no kind of probe before the path")
	}
	return Probe{}, faultf(suggest(s, []string{"tcp", "http:/PATH", "none"}), "unknown probe %s", quote(kind))
}

// checkPath accepts what can stand in the first line of an HTTP request.
func checkPath(path string) *fault {
	if !strings.HasPrefix(path, "/") {
		return faultf(`write "http:/`+path+`"`, "the path does not begin with a slash")
	}
	for _, c := range path {
		if c <= ' ' || c > '~' || c == '#' {
			return faultf(`write it as in a URL, with "%%" for a percent sign`, "%q cannot stand in a path", c)
		}
	}
	if _, err := url.ParseRequestURI(path); err != nil {
		return faultf(`write it as in a URL, with "%%" for a percent sign`, "not the path of a URL")
	}
	return nil
}
