package nat

import (
	"errors"
	"fmt"
)

// Serves returns the families in which t can be reached: those of Families
// that its endpoint's address, if it names one, belongs to.
func (t Target) Serves() Family {
	switch addr := t.Endpoint.Addr.Unmap(); {
	case addr.Is4():
		return t.Families & IPv4
	case addr.Is6():
		return t.Families & IPv6
	}
	return t.Families & DualStack
}

// Validate reports what no backend could put into the kernel, or what would
// give one endpoint to two. A backend applies nothing of Rules that fail.
func (r Rules) Validate() error {
	type claim struct {
		endpoint Endpoint
		scope    Scope
		family   Family
	}
	claims := map[claim]string{}
	services := map[string]bool{}
	for _, rd := range r.Redirects {
		if err := rd.validate(); err != nil {
			return fmt.Errorf("redirect of %q: %w", rd.Service, err)
		}
		if services[rd.Service] {
			return fmt.Errorf("redirect of %q: given twice", rd.Service)
		}
		services[rd.Service] = true
		for _, t := range rd.Targets {
			e := t.Endpoint.Canonical()
			for _, s := range []Scope{Network, Localhost} {
				for _, f := range []Family{IPv4, IPv6} {
					if rd.Scope&s == 0 || t.Serves()&f == 0 {
						continue
					}
					c := claim{e, s, f}
					if owner, taken := claims[c]; taken {
						return fmt.Errorf("redirect of %q: endpoint %v belongs to %q", rd.Service, e, owner)
					}
					claims[c] = rd.Service
				}
			}
		}
	}
	return nil
}

func (rd Redirect) validate() error {
	switch {
	case rd.Service == "":
		return errors.New("no service name")
	case !isActivation(rd.Activation):
		return fmt.Errorf("activation %q is not an identifier of 1 to 64 letters, digits, '-', '_' and '.'", rd.Activation)
	case rd.Scope == 0 || rd.Scope&^Everyone != 0:
		return fmt.Errorf("bad scope %v", rd.Scope)
	case len(rd.Targets) == 0:
		return errors.New("no targets")
	}
	for _, t := range rd.Targets {
		switch {
		case t.Endpoint.Port == 0:
			return fmt.Errorf("endpoint %v: no port", t.Endpoint)
		case t.Endpoint.Addr.Zone() != "":
			// No backend can tell the zones of one address apart.
			return fmt.Errorf("endpoint %v: an address with a zone cannot be redirected", t.Endpoint)
		case t.Port == 0:
			return fmt.Errorf("endpoint %v: no private port", t.Endpoint)
		case t.Families == 0 || t.Families&^DualStack != 0:
			return fmt.Errorf("endpoint %v: bad families %v", t.Endpoint, t.Families)
		case t.Serves() == 0:
			return fmt.Errorf("endpoint %v: not an %v address", t.Endpoint, t.Families)
		}
	}
	return nil
}

// isActivation accepts systemd's 32 hex digits and whatever else is safe in a
// rule's comment, which ends activations with a colon.
func isActivation(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}
