package main

import "encoding/json"

// panel is a graph of the dashboard.
type panel struct {
	title, about string
	unit         string // as Grafana calls it
	curves       []curve
}

// curve is an expression for Prometheus, of the chosen controllers, and what its lines are called.
type curve struct{ expr, legend string }

// chosen restricts a metric to the controllers that are looked at.
const chosen = `{instance=~"$controller"}`

const each = "{{instance}}"

// panels are drawn three in a row.
var panels = []panel{
	{"Quorum", "Whether each controller can carry out writes.", "bool_yes_no", []curve{{"holdfast_quorum" + chosen, each}}},
	{"May be lost", "How many more controllers may be lost before writes stop.", "none", []curve{{"holdfast_can_lose" + chosen, each}}},
	{"Leads", "Exactly one leads, but for a moment after a failure.", "bool_yes_no", []curve{{"holdfast_leader" + chosen, each}}},

	{"Changes of leadership", "A drain or a restart is one; more want an explanation.", "none", []curve{{"sum by (instance, cause) (increase(holdfast_elections_total" + chosen + "[$__rate_interval]))", each + " {{cause}}"}}},
	{"Answer reads from memory", "As the leader knows it, and how many members there are.", "none", []curve{{"max(holdfast_roster_members" + chosen + " and on (instance) holdfast_leader == 1)", "roster"}, {"max(holdfast_members" + chosen + ")", "all"}}},
	{"Behind the leader", "Entries that a member has yet to store.", "none", []curve{{"holdfast_member_lag_entries" + chosen + " and on (instance) holdfast_leader == 1", "{{member}}"}}},

	{"Writes applied", "The same on all controllers.", "ops", []curve{{"rate(holdfast_ops_total" + chosen + "[$__rate_interval])", each}}},
	{"Round trip to members", "", "s", []curve{{"holdfast_member_round_trip_seconds" + chosen, each + " to {{member}}"}}},
	{"Slowest fsync in a minute", "", "s", []curve{{"holdfast_log_fsync_max_seconds" + chosen, each}}},

	{"Memory of the process", "The line is memory-limit.", "bytes", []curve{{"holdfast_memory_resident_bytes" + chosen, each}, {"max(holdfast_memory_limit_bytes" + chosen + ")", "memory-limit"}}},
	{"Memory of keys by class", "The line is what keys may take in all.", "bytes", []curve{{"max by (class) (holdfast_class_bytes" + chosen + ")", "{{class}}"}, {"max(holdfast_keys_budget_bytes" + chosen + ")", "budget"}}},
	{"Keys by class", "", "short", []curve{{"max by (class) (holdfast_class_keys" + chosen + ")", "{{class}}"}}},

	{"Keys that went", "Expired ones had a deadline; evicted ones made room.", "ops", []curve{
		{"max(rate(holdfast_expired_total" + chosen + "[$__rate_interval]))", "expired"},
		{"max(rate(holdfast_evicted_total" + chosen + "[$__rate_interval]))", "evicted"},
		{"max(rate(holdfast_refused_total" + chosen + "[$__rate_interval]))", "writes refused"},
	}},
	{"Keys by keyspace", "", "short", []curve{{"max by (keyspace) (holdfast_keyspace_keys" + chosen + ") > 0", "{{keyspace}}"}}},
	{"Log on disk", "It falls whenever a snapshot is taken.", "bytes", []curve{{"holdfast_log_bytes" + chosen, each}}},

	{"Client connections", "", "none", []curve{{"holdfast_connections" + chosen, each}}},
	{"Clients that came, were refused, were dropped", "", "ops", []curve{
		{"rate(holdfast_connections_accepted_total" + chosen + "[$__rate_interval])", each + " came"},
		{"rate(holdfast_connections_refused_total" + chosen + "[$__rate_interval])", each + " refused"},
		{"rate(holdfast_connections_dropped_total" + chosen + "[$__rate_interval])", each + " dropped"},
	}},
	{"Bytes from and to clients", "", "Bps", []curve{
		{"rate(holdfast_input_bytes_total" + chosen + "[$__rate_interval])", each + " from"},
		{"-rate(holdfast_output_bytes_total" + chosen + "[$__rate_interval])", each + " to"},
	}},

	{"Clocks", "How far the wall clocks of members are from that of the one that is asked.", "s", []curve{{"holdfast_member_clock_offset_seconds" + chosen, each + " sees {{member}}"}}},
	{"Processor", "Of one processor.", "percentunit", []curve{{"rate(process_cpu_seconds_total" + chosen + "[$__rate_interval]) and on (instance) holdfast_ready", each}}},
	{"Versions", "More than one only during an upgrade.", "none", []curve{{"count by (version) (holdfast_build_info" + chosen + ")", "{{version}}"}}},
}

// dashboard is a dashboard for Grafana in its JSON.
func dashboard() ([]byte, error) {
	type object = map[string]any
	const width, height, across = 8, 7, 3 // of Grafana's 24 columns
	source := object{"type": "prometheus", "uid": "${source}"}
	var drawn []object
	for i, p := range panels {
		var targets []object
		for j, c := range p.curves {
			targets = append(targets, object{"refId": string(rune('A' + j)), "expr": c.expr, "legendFormat": c.legend, "datasource": source})
		}
		drawn = append(drawn, object{
			"id": i + 1, "type": "timeseries", "title": p.title, "description": p.about, "datasource": source, "targets": targets,
			"gridPos":     object{"x": i % across * width, "y": i / across * height, "w": width, "h": height},
			"fieldConfig": object{"defaults": object{"unit": p.unit}, "overrides": []object{}},
			"options":     object{"tooltip": object{"mode": "multi"}, "legend": object{"displayMode": "list", "placement": "bottom"}},
		})
	}
	return json.MarshalIndent(object{
		"title": "Holdfast", "uid": "holdfast", "tags": []string{"holdfast", "openstack"}, "schemaVersion": 39, "editable": true,
		"time": object{"from": "now-1h", "to": "now"}, "refresh": "10s", "panels": drawn,
		"templating": object{"list": []object{
			{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
			{"name": "controller", "label": "Controller", "type": "query", "datasource": source, "query": "label_values(holdfast_ready, instance)",
				"multi": true, "includeAll": true, "refresh": 2, "current": object{"text": "All", "value": "$__all"}},
		}},
	}, "", " ")
}
