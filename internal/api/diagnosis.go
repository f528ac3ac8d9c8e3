package api

// Severity is how bad something is that the doctor has found.
type Severity string

// The severities.
const (
	// Broken: connections are lost or refused, or will be at the next step.
	Broken Severity = "error"
	// Doubtful: it works now, and goes wrong under load, or at a later step.
	Doubtful Severity = "warning"
)

// Ailment is one thing that the doctor has found.
type Ailment struct {
	Severity Severity `json:"severity"`
	// Check is the name of what has found it.
	Check string `json:"check"`
	// Where is the unit, rule, file or setting that it is about.
	Where   string `json:"where"`
	Message string `json:"message"`
	// Remedy is what to do about it: mostly a command line.
	Remedy string `json:"remedy"`
}

// Examination is one check and how it went.
type Examination struct {
	Check string `json:"check"`
	// About says what it looks at.
	About string `json:"about"`
	// Result is "ok", "found", or "unknown" if it could not be made.
	Result string `json:"result"`
	// Reason says why it could not be made.
	Reason string `json:"reason,omitempty"`
}

// Results of an Examination.
const (
	Healthy = "ok"
	Ill     = "found"
	Unknown = "unknown"
)

// Diagnosis is all that the doctor has to say.
type Diagnosis struct {
	// Ailments come in the order of Checks.
	Ailments []Ailment     `json:"ailments"`
	Checks   []Examination `json:"checks"`
}
