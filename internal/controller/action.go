package controller

import (
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
)

// action is one step of a plan.
type action interface{}

// move is an action that moves rules. All of one plan are applied in one go.
type move interface{ service() string }

type (
	// point gives To the traffic of Service.
	point struct {
		Service string
		To      Activation
		Back    bool // to an older one, because the current one is unfit
		ByBoot  bool // because it was current before the boot
		Due     bool // the one that has it is not kept warm
		Why     string
	}
	// withdraw takes the rule of Service away: nothing is left to serve it.
	withdraw struct {
		Service string
		Release bool // the service is not ours any more
		Why     string
	}
)

func (a point) service() string    { return a.Service }
func (a withdraw) service() string { return a.Service }

// Actions that change the State only.
type (
	// refuse notes that an activation does not get the traffic.
	refuse struct {
		Service, Unit, ID, Reason string
		Asked                     config.Instance
		Passing                   bool // the reason is one that passes
	}
	// supersede notes that an activation was ready, but a better one is
	// current; it is seen out like an old one.
	supersede struct {
		Service    string
		Activation Activation
		Why        string
	}
	// adopt takes over settings of the current one that move no rule.
	adopt struct {
		Service  string
		Instance config.Instance
	}
	// dismiss notes, before the call, that an old one is to be stopped.
	dismiss struct{ Service, ID string }
	// end notes that an old one has ended.
	end struct {
		Service, ID string
		Unit        Unit
	}
	// forget drops an old one that is of no concern any more.
	forget struct{ Service, ID string }
	// wake asks for another plan at a time.
	wake struct{ At time.Duration }
)

// Actions that take time, each a task.
type (
	// prepare finds a candidate's private ports and probes them.
	prepare struct {
		Unit     Unit
		Instance config.Instance
		Boot     bool // who started it, the boot or an operator, matters
		// Reserved are the ports that it was given, by endpoint name.
		Reserved map[string]uint16
	}
	// quiesce waits until the listener's queues of an old one are empty.
	quiesce struct {
		Service string
		Old     Retired
	}
	// watch probes the current one until a time.
	watch struct {
		Service string
		Current Activation
		Until   time.Duration
	}
	// promote moves the enablement from an old one to the current one.
	promote struct {
		Service string
		Old     Retired
		To      string
	}
	// drain waits until the connections of an old one have ended.
	drain struct {
		Service string
		Old     Retired
	}
	// stop stops the unit of an old one, if its activation is still Invocation.
	stop struct {
		Service    string
		Old        Retired
		Invocation string
	}
	// release lets go what waits of a paused service.
	release struct{ Service, Why string }
	// reset clears the failed state of an old one that did not stop cleanly.
	reset struct {
		Service string
		Old     Retired
		Unit    Unit
	}
)
