package report

// Speed is what one contender lets through while nothing is switched.
type Speed struct {
	Contender   string  `json:"contender"`
	Connections float64 `json:"connections_per_second"` // new ones, one request each
	Requests    float64 `json:"requests_per_second"`    // on connections that are kept
}

// speed returns that of a contender, of several the median.
func (r *Run) speed(contender string) Speed {
	var connections, requests []float64
	for _, s := range r.Speeds {
		if s.Contender == contender {
			connections, requests = append(connections, s.Connections), append(requests, s.Requests)
		}
	}
	return Speed{contender, median(connections), median(requests)}
}
