package api

// Service is a public name and what can serve it.
type Service struct {
	Name string `json:"name"`
	// Listen are its public endpoints, as in unit files: "443",
	// "192.0.2.7:443", "https=443".
	Listen []string `json:"listen"`
	// Scope says whose connections are led to it: "network", "localhost",
	// or "both".
	Scope string `json:"scope,omitempty"`
	// Current is the unit that new connections go to, "" if none does.
	Current string `json:"current,omitempty"`
	// Pause says until when new connections wait; nil if they do not.
	Pause *Pause `json:"pause,omitempty"`
	// Rollback is what a rollback would go to: an older instance that still
	// runs, else the one that was current before; "" if none is known.
	Rollback string `json:"rollback,omitempty"`
	// Warm: the one named by Rollback still runs, so it is a matter of
	// milliseconds.
	Warm      bool       `json:"warm,omitempty"`
	Instances []Instance `json:"instances"`
}

// Instance returns the one of the unit, nil if there is none.
func (s *Service) Instance(unit string) *Instance {
	for i := range s.Instances {
		if s.Instances[i].Unit == unit {
			return &s.Instances[i]
		}
	}
	return nil
}
