package nat

// FindingKind says what a foreign rule means for a redirect.
type FindingKind string

const (
	// Taken: a NAT rule ahead of ours takes the public port, or some of its
	// connections.
	Taken FindingKind = "taken"
	// VoidAccept and VoidDrop: an INPUT rule names the public port, but once
	// that is redirected INPUT sees the private port, so the rule no longer
	// lets anybody in, or no longer keeps anybody out.
	VoidAccept FindingKind = "void-accept"
	VoidDrop   FindingKind = "void-drop"
	// CutOff: connections to the private port end in a default-drop policy or
	// in a DROP or REJECT that catches all.
	CutOff FindingKind = "cut-off"
)

// Finding is a rule of somebody else's that stands in the way of a redirect,
// or that a redirect makes void. It is told to the operator and never acted on.
type Finding struct {
	Kind     FindingKind
	Family   Family
	Rule     string // the foreign rule, with its table and chain, as its own tool shows it
	Endpoint Endpoint
	Message  string // one sentence
	// Fix is a command line that puts it right until the firewall's own
	// configuration is next loaded; "" where there is none to give.
	Fix string
}
