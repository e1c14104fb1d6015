package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of what is told though nothing is wrong yet.
const (
	fullShare  = 0.9                    // of the budget of keys
	slowDisk   = 300.0                  // ms of an fsync
	wrongClock = 500 * time.Millisecond // between two wall clocks
	farBehind  = 10000                  // entries
)

// judgement is what follows from an overview.
type judgement struct {
	Verdict  string // the daemon's words
	Code     int
	Headline string
	CanLose  int
	Problems []string // why it is not healthy, a sentence each
	Notes    []string // what should be known, though it is
	Next     string   // what to do now, one sentence
}

func (j *judgement) colour() string { return [...]string{green, yellow, red}[j.Code] }

// judge holds what all members say against each other.
func judge(o *overview) (judgement, error) {
	best := o.best()
	v, known := verdicts[best.Verdict]
	if !known {
		return judgement{}, fmt.Errorf("the daemon's verdict on its group is %.40q, which this version does not know", best.Verdict)
	}
	j := judgement{Verdict: best.Verdict, Code: v.code, CanLose: best.CanLose}
	for _, find := range []func(*overview, *judgement){findWrongState, findLeaders, findSettings, findMissing, findUnready, findMembers, findNotes} {
		find(o, &j)
	}
	if len(j.Problems) > 0 && j.Code == statusHealthy {
		j.Code, j.Verdict = statusDegraded, "degraded"
	}
	j.CanLose = min(j.CanLose, o.spare(best))
	j.Headline = j.headline(o, best)
	if j.Next == "" {
		j.Next = "nothing to do."
	}
	return j, nil
}

// problem notes what is wrong, and what to do if nothing graver is to be done.
func (j *judgement) problem(next, format string, args ...any) {
	j.Problems = append(j.Problems, fmt.Sprintf(format, args...))
	j.next(next)
}

func (j *judgement) note(next, format string, args ...any) {
	j.Notes = append(j.Notes, fmt.Sprintf(format, args...))
	j.next(next)
}

func (j *judgement) next(what string) {
	if j.Next == "" {
		j.Next = what
	}
}

// spare is how many voters may still be lost, of those that say themselves that they carry on.
func (o *overview) spare(best *report) int {
	voters, able := 0, 0
	for i := range best.Peers {
		p := &best.Peers[i]
		if p.Role == learner {
			continue
		}
		voters++
		if m := o.member(p.Name); m != nil && m.report != nil && m.report.Ready && m.report.Quorum {
			able++
		}
	}
	return max(0, able-(voters/2+1))
}

func (j *judgement) headline(o *overview, best *report) string {
	for _, v := range verdicts {
		if v.code != j.Code {
			continue
		}
		switch {
		case j.Code == statusNoQuorum:
			return v.headline + ": " + or(strings.TrimPrefix(best.Why, "no quorum, "), "writes are not carried out")
		case len(o.Members) < 2:
			return strings.TrimSuffix(v.headline+", a group of one: "+best.Why, ": ")
		}
		return fmt.Sprintf("%s, can lose %d more", v.headline, j.CanLose)
	}
	return ""
}

// findWrongState looks for members whose states are not the same: that must not be.
func findWrongState(o *overview, j *judgement) {
	told := map[string]bool{}
	for i := range o.Members {
		r := o.Members[i].report
		if r == nil {
			continue
		}
		for _, p := range r.Peers {
			pair := strings.Join(slices.Sorted(slices.Values([]string{r.Name, p.Name})), " and ")
			if p.Differs != 0 && !told[pair] {
				told[pair] = true
				j.problem("take 'holdfast support-bundle' and report it; the member that differs from the two others is the wrong one: stop it, move its data directory away, start it.",
					"After entry %d the states of %s were not the same: a defect, or a machine that computes wrongly.", p.Differs, pair)
			}
		}
	}
}

// findLeaders looks for two that say they lead, and for members that follow different ones.
func findLeaders(o *overview, j *judgement) {
	var lead []string
	follow := map[string][]string{}
	for i := range o.Members {
		r := o.Members[i].report
		if r == nil || !r.Ready {
			continue
		}
		if r.Role == leading {
			lead = append(lead, fmt.Sprintf("%s in term %d", r.Name, r.Term))
		}
		if r.Leader != "" {
			follow[r.Leader] = append(follow[r.Leader], r.Name)
		}
	}
	switch {
	case len(lead) > 1:
		j.problem("ask again in 2 s: the one with the older term finds out that it is deposed; if both stay, look at the network between them, and take 'holdfast support-bundle'.",
			"Two say that they lead: %s. The older term answers nothing any more: a leader without a majority has no authority.", strings.Join(lead, ", "))
	case len(follow) > 1:
		var texts []string
		for _, name := range sorted(follow) {
			texts = append(texts, fmt.Sprintf("%s (says %s)", name, strings.Join(follow[name], ", ")))
		}
		j.problem("ask again in 2 s: it is so for a moment during an election.", "The members name different leaders: %s.", strings.Join(texts, ", "))
	}
}

// timing are the settings by which leases are safe.
var timing = []string{"promise", "lease", "heartbeat", "drift"}

// findSettings looks for members with different settings that should be alike.
func findSettings(o *overview, j *judgement) {
	keys := map[string]map[string][]string{} // by value, who has it
	for i := range o.Members {
		if r := o.Members[i].report; r != nil {
			for key, value := range r.Common {
				if keys[key] == nil {
					keys[key] = map[string][]string{}
				}
				keys[key][value] = append(keys[key][value], r.Name)
			}
		}
	}
	for _, key := range sorted(keys) {
		if len(keys[key]) < 2 {
			continue
		}
		var texts []string
		for _, value := range sorted(keys[key]) {
			texts = append(texts, fmt.Sprintf("%q on %s", value, strings.Join(keys[key][value], ", ")))
		}
		text := fmt.Sprintf("Setting %s is not the same everywhere: %s.", key, strings.Join(texts, "; "))
		next := "give all members the same " + key + " and restart those that change, one after the other, each with 'holdfast drain' before."
		if slices.Contains(timing, key) {
			j.problem(next, "%s", text)
		} else {
			j.note(next, "%s", text)
		}
	}
}

// findMissing looks for members that do not answer. What is to be done depends on whether the others can go on.
func findMissing(o *overview, j *judgement) {
	var missing []string
	for i := range o.Members {
		m := &o.Members[i]
		if m.report != nil || m.stranger {
			continue
		}
		missing = append(missing, m.Name)
		hear := o.heardBy(m.Name)
		switch {
		case j.Code == statusNoQuorum:
		case o.self().hears(m.Name):
			j.problem(fmt.Sprintf("on %s, 'journalctl -u holdfast -n 50' says more; if its version is older, finish the upgrade.", m.Name), "%s is heard, and cannot say how it is: %s.", m.Name, m.Error)
		case len(hear) > 0:
			j.problem(fmt.Sprintf("look at the network between %s and %s: firewall, cable, address, certificates.", o.Asked, m.Name),
				"%s does not answer %s, %s, and %s hears it: %s.", m.Name, o.Asked, m.silence(o), strings.Join(hear, ", "), m.Error)
		default:
			meanwhile := ""
			if j.CanLose == 0 {
				meanwhile = "; stop no other controller until then"
			}
			why := m.Error
			if o.ended(m) {
				why = "its process ended"
			}
			j.problem(fmt.Sprintf("on %s, 'systemctl status holdfast' and 'journalctl -u holdfast -n 50' say why it does not answer: start it there; if the machine is gone for good, 'holdfast member replace %s NEW'%s.", m.Name, m.Name, meanwhile),
				"%s does not answer, %s: %s.", m.Name, m.silence(o), why)
		}
	}
	if j.Code != statusNoQuorum || len(missing) == 0 {
		return
	}
	voters := len(o.Members)
	need := voters/2 + 1 - (voters - len(missing))
	which := strings.Join(missing, " or ")
	if need >= len(missing) || !o.best().Ready { // a group that begins needs all
		which = strings.Join(missing, " and ")
	}
	if need > 0 {
		j.next(fmt.Sprintf("bring back %s: 'systemctl start holdfast' there; if it runs there, look at the network between the controllers (the port of peer-listen); only if they are gone for good: 'holdfast recover'.", which))
	}
}

// ended says whether it is proved that the process of a silent member ended.
func (o *overview) ended(m *memberPage) bool {
	return slices.ContainsFunc(o.Events, func(e event) bool {
		return (e.Kind == eventDied || e.Kind == eventEnded) && e.Member == m.Name && (m.Heard == nil || e.At.Sub(*m.Heard).Abs() < seenWithin)
	})
}

// findUnready looks for members that answer and do not serve, are drained, or are far behind.
func findUnready(o *overview, j *judgement) {
	newest := uint64(0)
	for i := range o.Members {
		if r := o.Members[i].report; r != nil {
			newest = max(newest, r.Commit)
		}
	}
	for i := range o.Members {
		r := o.Members[i].report
		switch {
		case r == nil:
		case strings.Contains(r.Problem, "disk"):
			next := fmt.Sprintf("make room on the disk of %s, 64 MiB at least, below %s: it goes on by itself, nothing needs a restart.", r.Name, r.Data)
			if j.Code == statusNoQuorum && r == o.best() {
				j.next(next) // the headline says what
				continue
			}
			j.problem(next, "%s: %s.", r.Name, r.Problem)
		case !r.Ready:
			if j.Code == statusNoQuorum && r == o.best() {
				continue
			}
			j.problem(fmt.Sprintf("wait until %s has loaded its state and found its group; its log says how far it is.", r.Name), "%s does not serve yet: %s.", r.Name, or(r.Problem, r.Why))
		case !r.Quorum && j.Code != statusNoQuorum:
			j.problem(fmt.Sprintf("look at the network between %s and the others.", r.Name), "%s carries out no writes, the others do: %s.", r.Name, r.Why)
		case r.Draining:
			j.problem(fmt.Sprintf("'systemctl restart holdfast' on %s when the work there is done.", r.Name), "%s is drained, or is being: it serves its clients, and takes no lease and no leadership until it is restarted.", r.Name)
		case r.Role == learner:
			j.problem("wait: it gets a vote by itself when it is up to date.", "%s has no vote yet: it is being brought up to date.", r.Name)
		case newest > r.Applied+farBehind:
			j.problem(fmt.Sprintf("look whether the disk or the network of %s is slow.", r.Name), "%s is %d entries behind.", r.Name, newest-r.Applied)
		}
	}
	if j.Code == statusNoQuorum {
		j.next("all members that answer are looking for a leader: ask again in 5 s; if it stays so, take 'holdfast support-bundle'.")
	} else if j.Code == statusDegraded && len(j.Problems) == 0 {
		j.problem("ask again in 5 s; if it stays so, the group is too small: 'holdfast member add NAME' says how a controller is added.", "No controller may be lost: %s.", or(o.best().Why, "nobody says why"))
	}
}

// findMembers looks for members that disagree on who is one.
func findMembers(o *overview, j *judgement) {
	lists := map[string][]string{}
	for i := range o.Members {
		if r := o.Members[i].report; r != nil && r.Ready && len(r.Peers) > 0 {
			names := r.names()
			slices.Sort(names)
			list := strings.Join(slices.Compact(names), ", ")
			lists[list] = append(lists[list], r.Name)
		}
	}
	if len(lists) < 2 {
		return
	}
	var texts []string
	for _, list := range sorted(lists) {
		texts = append(texts, fmt.Sprintf("%s according to %s", list, strings.Join(lists[list], ", ")))
	}
	j.problem("ask again in 2 s: it is so for a moment while one is added or removed.", "Who is a member is not the same everywhere: %s.", strings.Join(texts, "; "))
}

// findNotes looks for what does no harm yet.
func findNotes(o *overview, j *judgement) {
	versions := map[string][]string{}
	for i := range o.Members {
		m := &o.Members[i]
		r := m.report
		if r == nil {
			continue
		}
		versions[r.Version] = append(versions[r.Version], r.Name)
		if r.Budget > 0 && float64(r.Used) >= fullShare*float64(r.Budget) && r == o.best() {
			j.note("raise memory-limit on all members if the keys that are evicted are missed; evictions of cache are what the limit is for.", "Keys take %s of %s: cache is evicted, and beyond that writes are refused.", bytes(r.Used), bytes(r.Budget))
		}
		if r.FsyncMs >= slowDisk {
			j.note(fmt.Sprintf("look at what else uses the disk of %s (%s).", r.Name, r.Data), "The disk of %s is slow: an fsync took %.0f ms within the last minute.", r.Name, r.FsyncMs)
		}
		if by, unsure := m.ahead(); by.Abs()-unsure > wrongClock {
			j.note(fmt.Sprintf("look at the time service (chrony, ntpd) of %s.", r.Name), "The wall clock of %s is off from that of %s by %s.", r.Name, o.Asked, by.Round(time.Millisecond))
		}
	}
	if len(versions) > 1 {
		var texts []string
		for _, v := range sorted(versions) {
			texts = append(texts, v+" on "+strings.Join(versions[v], ", "))
		}
		j.note("finish the upgrade: all members should have the same version.", "Versions: %s. What only the newest knows is refused until all have it.", strings.Join(texts, "; "))
	}
}
