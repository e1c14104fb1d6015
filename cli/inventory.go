package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"holdfast/openstack"
)

const (
	defaultLimit = 1000 // items that are shown
	maxPages     = 1 << 20
)

// listing is a verb that shows what is in there, a page of the daemon after the other.
type listing struct {
	daemon *daemon
	format *format
	limit  int
	query  url.Values
}

func (p Program) listing(c *cobra.Command) *listing {
	c.Args = noArgs
	l := &listing{format: formatFlag(c), query: url.Values{}}
	l.daemon = p.daemonFlags(c)
	c.Flags().IntVar(&l.limit, "limit", defaultLimit, "how many to show at most; 0: all")
	return l
}

// each gives every item that fits to show, up to the limit, and says whether there are more.
func each[T any](l *listing, path string, fits func(T) bool, show func(item T, now time.Time) error) (more bool, err error) {
	if err := l.format.check(); err != nil {
		return false, err
	}
	if l.limit < 0 {
		return false, usage{fmt.Errorf("--limit is %d: write how many to show, 0 for all", l.limit)}
	}
	for shown, n := 0, 0; n < maxPages; n++ {
		var page struct {
			Items []T
			Next  string
			Now   time.Time
		}
		body, err := l.daemon.get(path + "?" + l.query.Encode())
		if err != nil {
			return false, err
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return false, fmt.Errorf("what answers at the admin address gives no list: %w", err)
		}
		for _, item := range page.Items {
			if !fits(item) {
				continue
			}
			if shown == l.limit && l.limit > 0 {
				return true, nil
			}
			shown++
			if err := show(item, page.Now); err != nil {
				return false, err
			}
		}
		if page.Next == "" {
			return false, nil
		}
		l.query.Set("cursor", page.Next)
	}
	return true, nil
}

func every[T any](T) bool { return true }

// list shows all items: each as a line of JSON, or as rows of a table, with what footer says of them below.
func list[T any](l *listing, path string, out io.Writer, head string, fits func(T) bool, rows func(w io.Writer, item T, now time.Time), footer func(n int) string) error {
	enc := json.NewEncoder(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	n := 0
	more, err := each(l, path, fits, func(item T, now time.Time) error {
		n++
		if l.format.json() {
			return enc.Encode(item)
		}
		if n == 1 {
			fmt.Fprintln(w, head)
		}
		rows(w, item, now)
		if n%defaultLimit == 0 { // a table of everything is no table any more
			return w.Flush()
		}
		return nil
	})
	if err != nil || l.format.json() {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	text := footer(n)
	if more {
		text += fmt.Sprintf(", and there are more: --limit %d stopped here", l.limit)
	}
	_, err = fmt.Fprintln(out, text)
	return err
}

// left is how long it is until then.
func left(now time.Time, then *time.Time) string {
	if then == nil {
		return "never"
	}
	return then.Sub(now).Round(time.Second).String()
}

// since is how long ago it was.
func since(now time.Time, then *time.Time) string {
	if then == nil {
		return "-"
	}
	return max(now.Sub(*then), 0).Round(time.Second).String()
}

func (p Program) sessions() *cobra.Command {
	c := &cobra.Command{
		Use:   "sessions",
		Short: "List the dashboard's sessions, or end them: who, since when, until when, never what is in them",
		Long: "Lists the sessions of Horizon (Django) with their users. The id stands for the session key, which is shown to nobody. A user that cannot\n" +
			"be read, because the session is compressed or of another form, is a dash. Only the controller's own machine may ask.",
	}
	var user string
	l := p.listing(c)
	c.Flags().StringVar(&user, "user", "", "only those of a user, by id or name")
	c.RunE = func(c *cobra.Command, _ []string) error {
		users := map[string]bool{}
		return list(l, "/openstack/sessions", c.OutOrStdout(), "session\tuser\tname\tlogged in\tlast active\tends in\tsize\tkeyspace",
			func(s openstack.UserSession) bool { return user == "" || user == s.User || user == s.UserName },
			func(w io.Writer, s openstack.UserSession, now time.Time) {
				users[s.User] = true
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, or(s.User, "-"), or(s.UserName, "-"), since(now, s.LoggedIn), since(now, s.LastActive), left(now, s.Expires),
					bytes(uint64(s.Bytes)), s.Keyspace)
			}, func(n int) string {
				delete(users, "")
				return fmt.Sprintf("%d session%s of %d known user%s", n, plural(n), len(users), plural(len(users)))
			})
	}
	c.AddCommand(p.endSessions())
	return c
}

func (p Program) endSessions() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "end KEY | --all",
		Short: "Log a user out, or everybody",
		Long:  "Ends the session with this id or session key, or all of them: whoever has it must log in again. Nothing else is removed.",
		Args:  someArgs(0, 1, "the id of a session, or --all"),
	}
	d := p.daemonFlags(c)
	c.Flags().BoolVar(&all, "all", false, "end all sessions")
	c.RunE = func(c *cobra.Command, args []string) error {
		if all == (len(args) == 1) {
			return usage{errors.New("'holdfast sessions end' wants the id of a session, or --all")}
		}
		q := url.Values{"all": {"yes"}}
		if !all {
			q = url.Values{"key": {args[0]}}
		}
		did, err := d.do("/openstack/sessions/end?" + q.Encode())
		if err == nil {
			fmt.Fprintln(c.OutOrStdout(), did)
		}
		return err
	}
	return c
}

func (p Program) tokens() *cobra.Command {
	c := &cobra.Command{
		Use:   "tokens",
		Short: "List the entries of Keystone's and keystonemiddleware's caches",
		Long: "Lists entries of token caches: 'token' is a token that Keystone validated or stores, 'validation' an answer of Keystone that a service\n" +
			"keeps, 'encrypted' the same with memcache_security_strategy, 'cache' the rest of Keystone's cache. Keys are hashes, nobody comes in with them.",
	}
	var what string
	l := p.listing(c)
	c.Flags().StringVar(&what, "what", "", "only entries of this kind: "+strings.Join(openstack.TokenKinds, ", "))
	c.RunE = func(c *cobra.Command, _ []string) error {
		if what != "" && !slices.Contains(openstack.TokenKinds, what) {
			return usage{fmt.Errorf("--what is %.40q: write one of %s", what, strings.Join(openstack.TokenKinds, ", "))}
		}
		counts := map[string]int{}
		return list(l, "/openstack/tokens", c.OutOrStdout(), "key\tis\tuser\tstored\tvalid for\tends in\tsize\tkeyspace",
			func(t openstack.CachedToken) bool { return what == "" || what == t.What },
			func(w io.Writer, t openstack.CachedToken, now time.Time) {
				counts[t.What]++
				valid := "-"
				if t.Valid != nil {
					valid = left(now, t.Valid)
				}
				fmt.Fprintf(w, "%.50s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", t.Key, t.What, or(t.User, "-"), since(now, t.Stored), valid, left(now, t.Expires), bytes(uint64(t.Bytes)), t.Keyspace)
			}, func(n int) string {
				text := fmt.Sprintf("%d entries", n)
				for _, word := range sorted(counts) {
					text += fmt.Sprintf(", %d %s", counts[word], word)
				}
				return text
			})
	}
	return c
}

func (p Program) groups() *cobra.Command {
	c := &cobra.Command{
		Use:   "groups",
		Short: "List the groups of agents (tooz) with their members and heartbeats",
		Long: "Lists the groups of tooz with their members. A heartbeat is a key that ends after the timeout of the agent, 30 s unless its URL says\n" +
			"otherwise: --timeout is for reckoning the last heartbeat from that. A member without heartbeat is gone; the next agent that looks removes it.",
	}
	var timeout time.Duration
	l := p.listing(c)
	c.Flags().DurationVar(&timeout, "timeout", 30*time.Second, "timeout that the agents are configured with")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if timeout <= 0 {
			return usage{fmt.Errorf("--timeout is %s: write a duration such as 30s", timeout)}
		}
		l.query.Set("timeout", timeout.String())
		members := 0
		return list(l, "/openstack/groups", c.OutOrStdout(), "group\tleader\tmember\tlast heartbeat\tends in\tkeyspace", every[openstack.CoordinationGroup],
			func(w io.Writer, g openstack.CoordinationGroup, now time.Time) {
				if len(g.Members) == 0 {
					fmt.Fprintf(w, "%s\t%s\t(empty)\t\t\t%s\n", or(g.Name, "-"), or(g.Leader, "-"), g.Keyspace)
				}
				for _, m := range g.Members {
					members++
					beat, ends := since(now, m.LastBeat), left(now, m.Expires)
					if m.Expires == nil {
						beat, ends = "none", "gone"
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", or(g.Name, "-"), or(g.Leader, "-"), or(m.Name, "-"), beat, ends, g.Keyspace)
				}
			}, func(n int) string {
				return fmt.Sprintf("%d group%s, %d member%s", n, plural(n), members, plural(members))
			})
	}
	return c
}

func (p Program) locks() *cobra.Command {
	c := &cobra.Command{
		Use:   "locks",
		Short: "List the locks that are held (tooz, dogpile): by whom, since when, for how long",
		Long: "Lists held locks. The holder is a member of tooz where memcached is used, and the hardware address of the host where Redis is, both as\n" +
			"the holder wrote them; since is by its clock. The fencing number of a lock is larger than that of any earlier holder.",
	}
	l := p.listing(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return list(l, "/openstack/locks", c.OutOrStdout(), "lock\tkind\tholder\theld for\tends in\tfencing\tkeyspace", every[openstack.HeldLock],
			func(w io.Writer, k openstack.HeldLock, now time.Time) {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", or(k.Name, "-"), k.Kind, or(k.Holder, "-"), since(now, k.Since), left(now, k.Expires), k.Fencing, k.Keyspace)
			}, func(n int) string { return fmt.Sprintf("%d lock%s", n, plural(n)) })
	}
	return c
}
