package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// auto is the value of Port= that leaves the private port to be found.
const auto = "auto"

// choice is one word of Port=, "8443" or "https=8443".
type choice struct {
	word
	name   string
	number uint16 // 0 if it depends on an instance that is not known
}

// choices returns Port= by endpoint name; empty means auto. A later word
// replaces an earlier one for the same name, and "auto" all of them. ok is
// false if one is wrong.
func (r *reader) choices() (byName map[string]choice, ok bool) {
	faults := len(r.errs)
	inForce := make(map[string]word)
	all := r.list("Port")
	for i, w := range all {
		if w.text == auto {
			if i > 0 && all[i-1].at == w.at || i+1 < len(all) && all[i+1].at == w.at {
				r.failWord(w, faultf("write either, not both", "auto is for all endpoints, a number for one"))
			}
			clear(inForce)
			continue
		}
		name, _ := cutName(w.text)
		if before, twice := inForce[name]; twice && before.at == w.at {
			r.failWord(w, faultf(`name them: "Port=NAME=NUMBER", as in Listen=`, "a second private port for the same endpoint"))
		}
		inForce[name] = w
	}
	byName = make(map[string]choice)
	for _, name := range slices.Sorted(maps.Keys(inForce)) {
		c, f := parseChoice(inForce[name])
		if f != nil {
			r.failWord(c.word, f)
		}
		byName[name] = c
	}
	return byName, len(r.errs) == faults
}

// cutName splits "https=8443" into its parts; the name may be missing.
func cutName(s string) (name, rest string) {
	name, rest, named := strings.Cut(s, "=")
	if !named {
		return "", s
	}
	return name, rest
}

func parseChoice(w word) (choice, *fault) {
	name, number := cutName(w.text)
	c := choice{word: w, name: name}
	if w.fault != nil {
		return c, w.fault
	}
	if number != w.text {
		if f := checkName(name); f != nil {
			return c, f
		}
		if number == auto {
			return c, faultf("write a number for every endpoint, or Port=auto alone", "auto is for all endpoints")
		}
	}
	if !w.known {
		return c, nil
	}
	port, f := parsePort(number)
	if f != nil && f.hint == portHint {
		f.hint = "expected a port from 1 to 65535, NAME=PORT or auto"
	}
	c.number = port
	return c, f
}

// ports gives each endpoint its private port: the one chosen by its name, or
// else the one chosen without a name. It returns nil for auto, and when a
// fault was found.
func (r *reader) ports(listen []Listen, at []Pos, byName map[string]choice) map[string]uint16 {
	if len(byName) == 0 {
		r.checkAuto(listen, at)
		return nil
	}
	faults := len(r.errs)
	unused := maps.Clone(byName)
	ports := make(map[string]uint16)
	public := make(map[uint16]uint16) // by private port
	known := true
	for i, l := range listen {
		c, chosen := byName[l.Name]
		if !chosen {
			c, chosen = byName[""]
		}
		delete(unused, c.name)
		ports[l.Name] = c.number
		switch other, taken := public[c.number]; {
		case !chosen:
			r.fail(at[i], missing(l))
		case c.number == 0:
			known = false
		case !taken:
			public[c.number] = l.Port
			r.checkPrivate(c, l, listen)
		case other != l.Port:
			r.failWord(c.word, faultf(mapping(listen), "public ports %d and %d cannot share a private port", other, l.Port))
		}
	}
	r.checkUnused(unused, listen)
	if !known || len(r.errs) > faults {
		return nil
	}
	return ports
}

// missing tells that l has no private port although others have.
func missing(l Listen) *fault {
	add := "NUMBER"
	if l.Name != "" {
		add = l.Name + "=NUMBER"
	}
	return faultf(fmt.Sprintf(`add "Port=%s"`, add), "Listen=%s: no private port for it in Port=", l)
}

// checkAuto refuses to guess which of several sockets serves which port. Of what
// the daemon hands out by name it knows.
func (r *reader) checkAuto(listen []Listen, at []Pos) {
	if r.asks && distinctNames(listen) {
		return
	}
	for i, l := range listen {
		if l.Port != listen[0].Port {
			r.fail(at[i], faultf(mapping(listen), "Listen=%s: with public ports %d and %d, Port=auto cannot tell which socket serves which", l, listen[0].Port, l.Port))
			return
		}
	}
}

// distinctNames reports whether no two public ports have endpoints of one name.
func distinctNames(listen []Listen) bool {
	of := map[string]uint16{}
	for _, l := range listen {
		if port, known := of[l.Name]; known && port != l.Port {
			return false
		}
		of[l.Name] = l.Port
	}
	return true
}

// checkPrivate refuses a private port of l that is public too: what is for the
// one would be led to the other. The public port of l itself will do for the
// server that listens there already, which the next version is to replace; for a
// whole template it is a mistake, because only one instance can listen on it.
func (r *reader) checkPrivate(c choice, l Listen, listen []Listen) {
	const hint = "let the server listen on another port, or on port 0 with Port=auto"
	switch {
	case l.Port == c.number && c.raw == c.text && ofTemplate(c.at.File):
		r.failWord(c.word, faultf(hint+"; for the one instance that listens there now, write it into a drop-in of that",
			"%d is the public port itself, and this is for all instances", c.number))
	case l.Port == c.number:
	case slices.ContainsFunc(listen, func(o Listen) bool { return o.Port == c.number }):
		r.failWord(c.word, faultf(hint, "%d is a public port itself", c.number))
	}
}

// ofTemplate reports whether a file is a template, or a drop-in of one, which
// all of its instances share.
func ofTemplate(file string) bool {
	return strings.HasSuffix(file, "@.service") || strings.Contains(file, "@.service.d/")
}

// checkUnused refuses private ports that no endpoint would ever use.
func (r *reader) checkUnused(unused map[string]choice, listen []Listen) {
	var names []string
	for _, l := range listen {
		if l.Name != "" && !slices.Contains(names, l.Name) {
			names = append(names, l.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(unused)) {
		w := unused[name].word
		switch {
		case name == "":
			r.failWord(w, faultf(`remove it; an empty "Port=" drops what stands above`, "every endpoint has a port of its own"))
		case len(names) == 0:
			r.failWord(w, faultf(fmt.Sprintf(`name it: "Listen=%s=%s"`, name, listen[0]), "no endpoint is named %q", name))
		default:
			r.failWord(w, faultf(suggest(name, names), "no endpoint is named %q", name))
		}
	}
}

// mapping shows how to name the endpoints and to map each.
func mapping(listen []Listen) string {
	var endpoints, ports []string
	for _, l := range listen {
		if l.Name == "" {
			l.Name = "p" + strconv.Itoa(int(l.Port))
		}
		endpoints = append(endpoints, l.String())
		if port := l.Name + "=NUMBER"; !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return fmt.Sprintf(`give each its own: "Listen=%s" and "Port=%s"`, strings.Join(endpoints, " "), strings.Join(ports, " "))
}
