package server

import "strings"

// Takes is a set of ways in which a server can get where to listen.
type Takes uint8

const (
	AnyPort    Takes = 1 << iota // listens on port 0, and the daemon finds it
	Number                       // a number that it is told
	Activation                   // a listening socket passed by systemd
	ReusePort                    // a number, with SO_REUSEPORT
)

var ways = []struct {
	way  Takes
	name string
}{{AnyPort, "any port"}, {Number, "number"}, {Activation, "activation"}, {ReusePort, "reuseport"}}

// Each returns the ways that are in t, one by one.
func (t Takes) Each() []Takes {
	var all []Takes
	for _, w := range ways {
		if t&w.way != 0 {
			all = append(all, w.way)
		}
	}
	return all
}

func (t Takes) String() string {
	var names []string
	for _, w := range ways {
		if t&w.way != 0 {
			names = append(names, w.name)
		}
	}
	return strings.Join(names, ", ")
}

// Listen is how an instance is told where to listen.
type Listen struct {
	How Takes // one of them
	// Port is a number, or an expression of systemd's such as "${PORT}", for
	// Number and ReusePort.
	Port string
}

// port returns the number to listen on, "0" for any.
func (l Listen) port() string {
	if l.How == AnyPort {
		return "0"
	}
	return l.Port
}
