package controller

import (
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
)

// action is one step of a plan.
type action interface{}

// Actions that move rules. All of one plan are applied in one go.
type (
	// point gives To the traffic of Service.
	point struct {
		Service string
		To      Activation
		Back    bool // to an older one, because the current one is unfit
		ByBoot  bool // because it was current before the boot
		Why     string
	}
	// withdraw takes the rule of Service away: nothing is left to serve it.
	withdraw struct {
		Service string
		Release bool // the service is not ours any more
		Why     string
	}
)

// Actions that change the State only.
type (
	// refuse notes that an activation does not get the traffic.
	refuse struct{ Service, Unit, ID, Asked, Reason string }
	// supersede notes that an activation was ready, but a better one is
	// current; it is seen out like an old one.
	supersede struct {
		Service    string
		Activation Activation
		Why        string
	}
	// adopt takes over changed settings that move no rule of the current one.
	adopt struct {
		Service  string
		Instance config.Instance
	}
	// dismiss notes, before the call, that an old one is to be stopped.
	dismiss struct{ Service, ID string }
	// forget drops an old one that has ended.
	forget struct {
		Service string
		Old     Retired
		Unit    Unit
	}
	// pardon drops a unit from those that are stopped if they come back.
	pardon struct{ Service, Unit string }
	// wake asks for another plan at a time.
	wake struct{ At time.Duration }
)

// Actions that take time, each a task.
type (
	// prepare finds a candidate's private ports and probes them.
	prepare struct {
		Unit         Unit
		Instance     config.Instance
		Asked        string
		BootFinished time.Duration // 0: the boot is under way
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
	// stop stops the unit of an old one.
	stop struct{ Service, Unit, ID string }
)
