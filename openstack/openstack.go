// Package openstack knows what keys and settings of OpenStack's services mean: dashboard sessions, token caches, groups and locks of
// tooz; what the services' configuration should say for a group of controllers, and what is wrong with what it says.
//
// Read keys.go first: by a key's name it is known what it is. sessions.go, tokens.go and tooz.go read as much of the values as they show;
// inventory.go walks a state for them. settings.go prints configurations; ini.go and python.go read them and rules.go judges them.
//
// All that it reads was written by others: every parser has limits and none executes anything. The package may not touch a clock, the system or
// the network, and never shows what is in a session.
package openstack
