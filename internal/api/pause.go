package api

import "time"

// DefaultPause and MaxPause are how long a pause lasts at most if nothing else is
// said, and how long it can last.
const (
	DefaultPause = Duration(30 * time.Second)
	MaxPause     = Duration(10 * time.Minute)
)

// PauseRequest asks for new connections of a service to wait, which are neither
// refused nor led anywhere until it is resumed, or Max is over. Of a service that
// is paused already it sets the time anew.
type PauseRequest struct {
	Service string   `json:"service"`
	Max     Duration `json:"max,omitempty"` // from now; 0 is DefaultPause
}

// Resume asks for the end of a pause.
type Resume struct {
	Service string `json:"service"`
}

// Pause is the pause of a service.
type Pause struct {
	// Until is when it ends by itself.
	Until time.Time `json:"until"`
	// Waiting is how many connections wait.
	Waiting int `json:"waiting"`
	// Ending: those that wait go on, as fast as the server accepts them, and
	// new ones queue up behind them.
	Ending bool `json:"ending,omitempty"`
}

// Paused is the answer to a PauseRequest.
type Paused struct {
	Service string `json:"service"`
	Pause   Pause  `json:"pause"`
	// Extended: it was paused already.
	Extended bool `json:"extended,omitempty"`
}

// Resumed is the answer to a Resume.
type Resumed struct {
	Service string `json:"service"`
	// Waited is how many connections had to wait, and Longest how long one of
	// them did.
	Waited  int      `json:"waited"`
	Longest Duration `json:"longest"`
	// Left is how many of them went on without regard to the server, because
	// it did not accept them.
	Left int      `json:"left,omitempty"`
	Took Duration `json:"took"` // from the call until the last one had gone on
}
