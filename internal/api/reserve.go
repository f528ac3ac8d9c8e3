package api

import (
	"context"
	"net/http"
	"os"
)

// Reserve asks for the private ports of an instance, one for each endpoint.
type Reserve struct {
	// Unit is the instance; "" is the caller's own.
	Unit string `json:"unit,omitempty"`
	// Taken are ports from an earlier answer that could not be bound; others
	// come in their place.
	Taken []uint16 `json:"taken,omitempty"`
	// Listeners asks for the listeners that are kept for the instance.
	Listeners bool `json:"listeners,omitempty"`
}

// Reserved are the private ports of an instance. They are its own until it has
// ended and is not about to be restarted.
type Reserved struct {
	Service string        `json:"service"`
	Unit    string        `json:"unit"`
	Ports   []PrivatePort `json:"ports"` // in the order of Listen=
}

// PrivatePort is the private port of one endpoint.
type PrivatePort struct {
	Name   string   `json:"name,omitempty"` // of the endpoint
	Port   uint16   `json:"port"`
	Listen []string `json:"listen"` // the public endpoints that it is for
	// Kept: the daemon keeps a listener on it. If Reserve.Listeners was set, a
	// copy comes with the answer, in this order.
	Kept bool `json:"kept,omitempty"`
}

// Keep hands the daemon a copy of each listener that an instance has bound on
// its private ports: clients wait in its queue while the instance is restarted.
type Keep struct {
	// Unit is the instance; "" is the caller's own.
	Unit string `json:"unit,omitempty"`
	// Ports are in the order of the listeners, which come as file descriptors
	// with the request.
	Ports []KeptPort `json:"ports"`
}

// KeptPort says which endpoint's listener a file descriptor is.
type KeptPort struct {
	Name string `json:"name,omitempty"`
	Port uint16 `json:"port"`
}

// Kept is how many listeners of an instance the daemon keeps.
type Kept struct {
	Unit      string `json:"unit"`
	Listeners int    `json:"listeners"`
}

// MaxListeners is how many listeners one call may pass.
const MaxListeners = 64

// Reserve asks for private ports. The files are the listeners that are kept, if
// they were asked for, in the order of the ports; the caller closes them.
func (c *Client) Reserve(ctx context.Context, what Reserve) (*Reserved, []*os.File, error) {
	var r Reserved
	files, err := c.exchange(ctx, http.MethodPost, "/reserve", what, nil, &r)
	if err != nil {
		return nil, nil, err
	}
	kept := 0
	for _, p := range r.Ports {
		if p.Kept {
			kept++
		}
	}
	if what.Listeners && len(files) != kept {
		closeAll(files)
		return nil, nil, Errorf(Internal, "%d listeners are kept, and %d came", kept, len(files))
	}
	return &r, files, nil
}

// Keep hands listeners over. The caller may close them afterwards.
func (c *Client) Keep(ctx context.Context, what Keep, listeners []*os.File) (*Kept, error) {
	var k Kept
	files, err := c.exchange(ctx, http.MethodPost, "/keep", what, listeners, &k)
	closeAll(files)
	if err != nil {
		return nil, err
	}
	return &k, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
