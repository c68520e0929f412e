package natsd_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

var (
	nobody   = []string{}
	services = []string{"auth", "gateway", "publisher", "tokenkeeper"}
	readers  = []string{"gateway", "ops", "publisher", "subscriber"} // of EVENTS
)

// publishers is who may publish to what, told in another way than by the table that the configuration is made from.
func publishers(t *testing.T) map[string][]string {
	who := map[string][]string{
		"threads.cmd.post.unheard_of": nobody, "threads.cmd.account.erase": nobody,
		"threads.evt.post.acct_1.post_1.unheard_of": nobody, "threads.evt.account.acct_1.unheard_of": nobody,

		"threads.alarm.post.post_1": {"publisher"}, "threads.due.post.post_1": {"publisher"},
		"threads.alarm.token.acct_1": {"tokenkeeper"}, "threads.due.token.acct_1": {"tokenkeeper"},
		events.PostTickAlarm: {"migrate"}, events.TokenTickAlarm: {"migrate"}, events.TokenSweepAlarm: {"migrate"},
		events.PostTickDue: nobody, events.TokenTickDue: nobody, events.TokenSweepDue: nobody,

		"threads.replay.r1.evt.account.acct_1.connected": {"ops"}, "$SRV.PING": {"ops"},
		"$KV.tickets.k": {"auth"}, "$KV.oauth_states.k": {"auth"}, "$KV.unheard_of.k": nobody,
		"_INBOX_gateway.outcome.1": {"auth", "publisher", "tokenkeeper"}, "_INBOX_ops.1": {"auth", "publisher", "tokenkeeper"},
		"_INBOX_auth.1": nobody, "_INBOX_publisher.1": nobody, "_INBOX_subscriber.1": nobody, "_INBOX.1": nobody,
		"$SYS.REQ.SERVER.PING": nobody, "anything": nobody,

		"threads.cmd.probe.gateway": {"gateway"}, "threads.cmd.probe.ops": {"ops"}, "threads.cmd.probe.auth": nobody, // each tries on its own
		"threads.alarm.post.probe_ops": {"ops", "publisher"}, "threads.alarm.token.probe_ops": {"ops", "tokenkeeper"}, "threads.dead.probe.ops": {"ops"},

		"threads.dead.threads.cmd.post.schedule":         {"publisher"},
		"threads.dead.threads.cmd.token.refresh":         {"tokenkeeper"},
		"threads.dead.threads.cmd.connection.disconnect": {"auth"},
	}
	api := func(request string, users ...string) { who["$JS.API."+request] = users }
	for q := range questions(t) {
		who[q] = []string{"gateway"}
	}
	for _, msg := range events.All() {
		subject := strings.ReplaceAll(strings.ReplaceAll(msg.Subject(), "..", ".x."), "..", ".x.")
		switch {
		case strings.HasPrefix(subject, "threads.cmd."):
			who[subject] = []string{"gateway", "ops"}
		case strings.HasPrefix(subject, "threads.evt.post."):
			who[subject] = []string{"ops", "publisher"} // ops emit what was not emitted, and what they took over
		case strings.HasPrefix(subject, "threads.evt.account."):
			who[subject] = []string{"auth", "ops", "publisher", "tokenkeeper"}
		default:
			t.Errorf("%s: who may send %s?", msg.Type(), subject)
		}
	}
	streams := []string{"KV_" + events.BucketOAuthStates, "KV_" + events.BucketTickets}
	for _, s := range events.Streams(1, 0) {
		streams = append(streams, s.Name)
	}
	for _, s := range streams {
		for _, request := range []string{
			"STREAM.DELETE.", "STREAM.PURGE.", "STREAM.MSG.DELETE.", "STREAM.MSG.GET.", "STREAM.SNAPSHOT.", "STREAM.RESTORE.",
			"STREAM.LEADER.STEPDOWN.", "STREAM.PEER.REMOVE.", "CONSUMER.NAMES.", "CONSUMER.LIST.",
		} {
			api(request+s, nobody...)
		}
		api("STREAM.CREATE."+s, "migrate")
		api("STREAM.UPDATE."+s, "migrate")
		if !strings.HasPrefix(s, "KV_") {
			api("STREAM.MSG.GET."+s, "ops")
			api("CONSUMER.NAMES."+s, "ops")
			api("CONSUMER.LIST."+s, "ops")
		} else {
			api("CONSUMER.NAMES."+s, "ops")
			api("CONSUMER.LIST."+s, "ops")
		}
		for _, request := range []string{"CREATE." + s + ".mine", "CREATE." + s + ".mine.threads.>", "DURABLE.CREATE." + s + ".mine", "MSG.NEXT." + s + ".mine", "DELETE." + s + ".mine"} {
			api("CONSUMER."+request, nobody...)
		}
		api("CONSUMER.CREATE."+s, nobody...)
	}
	for _, request := range []string{"STREAM.DELETE.EVENTS", "STREAM.CREATE.EVENTS", "STREAM.UPDATE.EVENTS", "CONSUMER.LIST.EVENTS", "CONSUMER.CREATE.EVENTS.mine"} {
		who[bus.CopyAPI+"."+request] = []string{"migrate"}
	}
	who[bus.CopyAPI+".STREAM.PURGE.EVENTS"] = []string{"auth"}
	who[bus.CopyAPI+".STREAM.INFO.EVENTS"] = []string{"auth", "gateway", "migrate"}
	for _, request := range []string{"CONSUMER.DELETE.EVENTS.mine", "CONSUMER.MSG.NEXT.EVENTS.mine", "STREAM.INFO.COMMANDS"} {
		who[bus.CopyAPI+"."+request] = nobody
	}
	who[bus.OriginAPI+".CONSUMER.CREATE.EVENTS"], who[bus.CopyDelivery+".x"], who["$JS.FC.EVENTS.x"] = nobody, nobody, nobody
	for _, s := range []string{events.StreamEvents, events.StreamDead} {
		api("STREAM.SNAPSHOT."+s, "backup")
		api("STREAM.RESTORE."+s, "backup")
		api("CONSUMER.NAMES."+s, "backup", "ops")
		api("CONSUMER.LIST."+s, "backup", "ops")
		who["$JS.SNAPSHOT.ACK."+s+".x"], who["$JS.SNAPSHOT.RESTORE."+s+".x"] = []string{"backup"}, []string{"backup"}
	}
	api("CONSUMER.LIST.EVENTS", "backup", "migrate", "ops") // migrate takes readers over to the copy
	who["$JS.SNAPSHOT.ACK.COMMANDS.x"], who["$JS.SNAPSHOT.RESTORE.POST_ALARMS.x"] = nobody, nobody
	api("STREAM.DELETE.POST_ALARMS", "migrate")
	api("STREAM.DELETE.TOKEN_ALARMS", "migrate")
	api("STREAM.PURGE.POST_ALARMS", "publisher")
	api("STREAM.PURGE.TOKEN_ALARMS", "auth", "tokenkeeper")
	api("STREAM.PURGE.EVENTS", "auth")
	api("STREAM.PURGE.COMMANDS", "publisher") // what was stored to try it
	api("STREAM.PURGE.DEAD", "auth")
	api("STREAM.MSG.DELETE.DEAD", "auth", "ops")
	api("STREAM.MSG.GET.DEAD", "auth", "ops")
	api("STREAM.MSG.GET.EVENTS", "gateway", "ops", "publisher")
	api("STREAM.INFO.COMMANDS", append([]string{"migrate", "ops"}, services...)...)
	api("STREAM.INFO.EVENTS", append([]string{"backup", "migrate", "ops", "subscriber"}, services...)...)
	api("STREAM.INFO.DEAD", "auth", "backup", "migrate", "ops", "publisher", "tokenkeeper")
	api("STREAM.INFO.KV_tickets", "auth", "migrate")
	api("DIRECT.GET.KV_tickets.$KV.tickets.k", "auth")
	api("DIRECT.GET.KV_oauth_states.$KV.oauth_states.k", "auth")
	api("DIRECT.GET.EVENTS.threads.evt.account.acct_1.connected", nobody...)
	api("STREAM.LIST", "ops")
	api("STREAM.NAMES", "ops")
	api("STREAM.TEMPLATE.CREATE.x", nobody...)
	api("INFO", "backup", "migrate", "ops")
	api("CONSUMER.CREATE.EVENTS.mine", readers...)
	api("CONSUMER.CREATE.EVENTS.mine.threads.>", readers...)
	api("CONSUMER.MSG.NEXT.EVENTS.mine", readers...)
	api("CONSUMER.DELETE.EVENTS.mine", readers...)
	for _, request := range []string{"CREATE.DEAD.mine", "CREATE.DEAD.mine.threads.>", "MSG.NEXT.DEAD.mine", "DELETE.DEAD.mine"} {
		api("CONSUMER."+request, "ops")
	}
	who["$JS.ACK.EVENTS.mine.1.1.1.1.1"] = []string{"subscriber"}

	// What belongs to a durable is its service's alone.
	for _, d := range events.Durables() {
		at := d.Stream + "." + d.Config.Durable
		owner, _, _ := strings.Cut(d.Config.Durable, "-")
		for _, verb := range []string{"DELETE.", "PAUSE.", "RESET.", "UNPIN.", "LEADER.STEPDOWN.", "DURABLE.CREATE."} {
			api("CONSUMER."+verb+at, nobody...)
		}
		api("CONSUMER.CREATE."+at, "migrate")
		api("CONSUMER.CREATE."+at+".threads.>", "migrate")
		if d.Stream == events.StreamEvents && owner == "publisher" { // it may read EVENTS by readers of its own
			api("CONSUMER.CREATE."+at, "migrate", owner)
			api("CONSUMER.CREATE."+at+".threads.>", "migrate", owner)
		}
		api("CONSUMER.MSG.NEXT."+at, owner)
		who["$JS.ACK."+at+".1.1.1.1.1"] = []string{owner}
	}
	return who
}

// subscribers is who may subscribe to what.
func subscribers(t *testing.T) map[string][]string {
	who := map[string][]string{
		">": nobody, "*": nobody, "threads.>": nobody, events.EveryFact: nobody, "threads.cmd.>": nobody, "threads.due.>": nobody,
		"threads.ask.>": nobody, "$JS.>": nobody, "$JS.ACK.>": nobody, "$KV.>": nobody, "$SYS.>": nobody, "_INBOX.>": nobody, "_INBOX_*.>": nobody,
		events.EveryReplay: {"ops", "subscriber"}, "$SRV.PING": {"auth", "publisher"},
	}
	for _, u := range bus.Users() {
		who["_INBOX_"+u.Name+".>"] = []string{u.Name}
	}
	for q, answerers := range questions(t) {
		if len(answerers) != 1 {
			t.Errorf("%s is answered by %v; it should be one service", q, answerers)
		}
		who[q] = answerers
	}
	return who
}

// questions are the subjects of every question there is, with the service whose source has a method that answers it. They
// have no registry.
func questions(t *testing.T) map[string][]string {
	t.Helper()
	subjects := map[string][]string{}
	for _, file := range sources(t, "../../asks") {
		for _, decl := range file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Name.Name != "Subject" || fn.Recv == nil {
				continue
			}
			subject := ""
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok && types.ExprString(call.Fun) == "ask" {
					subject = strings.ReplaceAll("threads.ask."+types.ExprString(call.Args[0])+"."+types.ExprString(call.Args[1]), `"`, "")
				}
				return true
			})
			if subject != "" {
				subjects[subject] = answerers(t, "asks."+types.ExprString(fn.Recv.List[0].Type))
			}
		}
	}
	if len(subjects) < 10 {
		t.Fatalf("found only %v", subjects)
	}
	return subjects
}

// answerers are the services with a method func (…) X(context, question) (answer, error).
func answerers(t *testing.T, question string) (names []string) {
	t.Helper()
	for _, name := range services {
		for _, file := range sources(t, "../../../services/"+name) {
			for _, decl := range file.Decls {
				fn, ok := decl.(*ast.FuncDecl)
				if !ok || fn.Recv == nil || fn.Type.Results == nil || len(fn.Type.Results.List) != 2 {
					continue
				}
				if in := fn.Type.Params.List; len(in) == 2 && types.ExprString(in[1].Type) == question {
					names = append(names, name)
				}
			}
		}
	}
	return slices.Compact(names)
}

var parsed sync.Map // of a directory: its files

func sources(t *testing.T, dir string) []*ast.File {
	t.Helper()
	if known, ok := parsed.Load(dir); ok {
		return known.([]*ast.File)
	}
	var files []*ast.File
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		files = append(files, file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	parsed.Store(dir, files)
	return files
}

// Every user tries everything, on a server that runs with the configuration of a deployment.
func TestEachUserMayDoWhatItMustAndNothingElse(t *testing.T) {
	t.Parallel()
	s := bustest.ServeConf(t, "nats.conf", nil) // without a stream: nobody does harm
	mayPublish, maySubscribe := publishers(t), subscribers(t)
	for _, u := range bus.Users() {
		nc := s.As(t, u.Name).JetStream().Conn()
		// The server says in its order what it refuses: after a flush it is known.
		refuses := func(try func() error) bool {
			before := nc.LastError()
			err := errors.Join(try(), nc.FlushTimeout(waiting.Limit))
			after := nc.LastError()
			if errors.Is(err, nats.ErrPermissionViolation) || after != before && errors.Is(after, nats.ErrPermissionViolation) {
				return true
			}
			if err != nil {
				t.Fatalf("%s: %v", u.Name, err)
			}
			return false
		}
		n := 0
		for _, subject := range slices.Sorted(maps.Keys(mayPublish)) {
			name := u.Finds(subject)
			n++
			may := slices.Contains(mayPublish[subject], u.Name)
			if refused := refuses(func() error { return nc.PublishRequest(name, "_INBOX_"+u.Name+"."+strconv.Itoa(n), nil) }); refused == may {
				t.Errorf("%s publishes to %s: may %v, refused %v", u.Name, name, may, refused)
			}
		}
		for _, subject := range slices.Sorted(maps.Keys(maySubscribe)) {
			may := slices.Contains(maySubscribe[subject], u.Name)
			refused := refuses(func() error {
				sub, err := nc.SubscribeSync(subject)
				if err == nil {
					err = errors.Join(nc.FlushTimeout(waiting.Limit), sub.Unsubscribe())
				}
				if errors.Is(err, nats.ErrBadSubscription) { // it is closed because it was refused
					err = nil
				}
				return err
			})
			if refused == may {
				t.Errorf("%s subscribes to %s: may %v, refused %v", u.Name, subject, may, refused)
			}
		}
	}
}

func TestAWrongPasswordIsRefused(t *testing.T) {
	t.Parallel()
	s := bustest.ServeConf(t, "nats.conf", nil)
	for _, try := range []struct{ user, password string }{{"gateway", "wrong"}, {"gateway", bustest.PasswordFor("publisher")}, {"root", "root"}} {
		if _, err := s.TryAs(t, try.user, try.password); !errors.Is(err, nats.ErrAuthorization) || strings.Contains(err.Error(), try.password) {
			t.Errorf("%s: %v", try.user, err)
		}
	}
	if nc, err := nats.Connect(s.URL); err == nil {
		nc.Close()
		t.Error("somebody without a name was let in")
	}
}

// What a guest may do is done for them in our account, and two ways lead from there to subjects that they may not publish
// to: the subject for an answer, and the one to which a consumer delivers.
func TestAGuestReadsFactsAndPutsNothingOnOurStreams(t *testing.T) {
	t.Parallel()
	s := bustest.ServeConf(t, "nats.conf", nil)
	if err := bus.Declare(t.Context(), s.As(t, bus.UserMigrate), bus.Topology{}); err != nil {
		t.Fatal(err)
	}
	fact := events.NewAccountConnected(events.Connection{ID: "acct_1"})
	if err := s.As(t, "auth").Emit(t.Context(), fact); err != nil {
		t.Fatal(err)
	}
	nc := s.As(t, bus.UserSubscriber).JetStream().Conn()
	js, err := jetstream.NewWithAPIPrefix(nc, events.GuestAPI)
	if err != nil {
		t.Fatal(err)
	}

	// They read, by a reader that forgets and by one that remembers.
	ordered, err := js.OrderedConsumer(t.Context(), events.StreamEvents, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	durable, err := js.CreateConsumer(t.Context(), events.StreamEvents, jetstream.ConsumerConfig{Durable: "team-facts"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []jetstream.Consumer{ordered, durable} {
		m, err := c.Next()
		if err != nil || m.Subject() != fact.Subject() {
			t.Fatalf("%v, %v", m, err)
		}
		if c == durable {
			if err := m.DoubleAck(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}

	ours := []string{"threads.cmd.post.publish", events.PostAlarm("post_1"), events.PostDue("post_1"), events.Dead("x"), "$KV.tickets.k", fact.Subject()}
	for i, subject := range ours {
		// An answer.
		if err := nc.PublishRequest(events.GuestAPI+".STREAM.INFO.EVENTS", subject, nil); err != nil {
			t.Fatal(err)
		}
		if err := nc.PublishRequest(events.GuestAPI+".CONSUMER.MSG.NEXT.EVENTS.team-facts", subject, []byte(`{"batch":1,"no_wait":true}`)); err != nil {
			t.Fatal(err)
		}
		// A delivery.
		name := fmt.Sprintf("push-%d", i)
		config := fmt.Sprintf(`{"stream_name":"EVENTS","config":{"name":%q,"deliver_subject":%q,"ack_policy":"none"}}`, name, subject)
		if _, err := nc.Request(events.GuestAPI+".CONSUMER.CREATE.EVENTS."+name, []byte(config), waiting.Limit); err != nil {
			t.Fatal(err)
		}
	}
	// In our own account the answer does get there: after it, what the guest tried would be there too.
	ops := s.As(t, bus.UserOps).JetStream()
	if err := ops.Conn().PublishRequest("$JS.API.STREAM.INFO.EVENTS", "threads.cmd.token.refresh", nil); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(waiting.Limit); ; <-time.After(5 * time.Millisecond) {
		commands, err := ops.Stream(t.Context(), events.StreamCommands)
		if err != nil || time.Now().After(until) {
			t.Fatalf("the answer did not get there, so nothing is shown: %v", err)
		}
		if commands.CachedInfo().State.Msgs > 0 {
			break
		}
	}
	migrate := s.As(t, bus.UserMigrate).JetStream()
	for stream, want := range map[string]uint64{
		events.StreamCommands: 1, events.StreamPostAlarms: 1, events.StreamDead: 0, "KV_tickets": 0, events.StreamEvents: 1,
	} {
		info, err := migrate.Stream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		if n := info.CachedInfo().State.Msgs; n != want { // the post alarms hold their tick, the commands what ops put there
			t.Errorf("%s has %d messages, not %d", stream, n, want)
		}
	}
}
