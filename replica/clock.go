package replica

// Instant is a moment on the two clocks of a member.
type Instant struct {
	Wall int64 // Unix ns. Stamps are made from it; it may jump
	Mono int64 // ns since some moment before. It never jumps, counts the time that the machine is suspended, and its rate is near that of every other member's
}

// slewing is how much slower the group's time runs, one part in that many, while the leader's wall clock is behind it.
const slewing = 200

// at takes notice of the time.
func (r *Replica) at(now Instant) { r.mono, r.wall = max(r.mono, now.Mono), now.Wall }

// stamped takes notice of a stamp that was proposed or applied now.
func (r *Replica) stamped(stamp int64) {
	if stamp > r.stamp {
		r.stamp, r.stampAt = stamp, r.mono
	}
}

// estimate is the newest stamp and how long ago it was seen.
func (r *Replica) estimate() int64 { return r.stamp + r.mono - r.stampAt }

// clock is the time that this member stamps with when it leads. It follows the wall clock. When that is ahead of the group's time by more than the bound,
// and no majority of the wall clocks agrees, it is wrong: then time goes on by Mono. When it is behind, time goes on a little slower.
func (r *Replica) clock() int64 {
	if r.alone() || r.stamp == 0 {
		return max(r.wall, r.stamp)
	}
	est := r.estimate()
	switch {
	case r.wall < est:
		return max(r.wall, est-(est-r.stamp)/slewing)
	case r.wall > est+r.cfg.ClockBound && !r.agreed():
		return est
	}
	return r.wall
}

// agreed says whether a majority of the voters has about this wall clock.
func (r *Replica) agreed() bool {
	n := 1
	for i := range r.peers {
		if p := &r.peers[i]; p.voter && p.clock != 0 && abs(p.ahead(r)) <= r.cfg.ClockBound {
			n++
		}
	}
	return 2*n > len(r.log.group.GetVoters())
}

// ahead is how far the wall clock of p is before the own one, about, ns.
func (p *peer) ahead(r *Replica) int64 { return p.clock + r.mono - r.wall }

func abs(v int64) int64 { return max(v, -v) }

// Present estimates the group's time, Unix ns.
func (r *Replica) Present(now Instant) int64 {
	r.at(now)
	if r.leading() || r.alone() {
		return max(r.clock(), r.stamp)
	}
	return r.estimate()
}
