package testenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"
)

var sharedKafka shared[string]

// Kafka returns the addresses, separated by commas, of a broker that tests
// share. Topics and groups there are the test's to name apart.
func Kafka(t testing.TB) string {
	t.Helper()
	if addresses := os.Getenv("GOCHAT_TEST_KAFKA"); addresses != "" {
		return addresses
	}
	return sharedKafka.get(t, func() (string, error) {
		k, err := newBroker(nil)
		if err != nil {
			return "", err
		}
		return k.address, k.start()
	})
}

// KafkaHandle is a private broker.
type KafkaHandle struct {
	Handle
	k *kafkaServer
}

// KafkaServer starts a private broker that ends with the test.
func KafkaServer(t testing.TB) KafkaHandle {
	t.Helper()
	h := NewKafka(t)
	h.Start()
	return h
}

// NewKafka prepares a private broker without starting it.
func NewKafka(t testing.TB) KafkaHandle {
	t.Helper()
	k, err := newBroker(nil)
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	return KafkaHandle{Handle: adopt(t, &k.server), k: k}
}

// KafkaCluster starts a private cluster of n brokers, which elect their
// controller among themselves. A topic has three replicas or n, if that is
// less, and takes a record when all but one of them have it.
func KafkaCluster(t testing.TB, n int) []KafkaHandle {
	t.Helper()
	brokers, err := newKafka(n, nil)
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	handles := make([]KafkaHandle, n)
	var starting errgroup.Group // one alone does not serve
	for i, k := range brokers {
		handles[i] = KafkaHandle{Handle: adopt(t, &k.server), k: k}
		starting.Go(k.start)
	}
	if err := starting.Wait(); err != nil {
		t.Fatalf("testenv: %v", err)
	}
	return handles
}

// KafkaAccess is what a broker's secure listener asks of its clients.
type KafkaAccess struct {
	Identity           string // file with the broker's certificate and key, in PEM
	Username, Password string // of the only user, by PLAIN and by SCRAM
}

// SecureKafkaServer starts a private broker with another listener, which speaks TLS and wants a login, and returns its
// address too.
func SecureKafkaServer(t testing.TB, access KafkaAccess) (h KafkaHandle, address string) {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	k, err := newBroker(&secureListener{KafkaAccess: access, address: local(port)})
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	h = KafkaHandle{Handle: adopt(t, &k.server), k: k}
	h.Start()
	return h, local(port)
}

// Address is host:port; it stays the same over restarts.
func (h KafkaHandle) Address() string { return h.k.address }

// Proxy returns the address of a second listener of the broker, which tells
// its clients to come through the proxy, and the proxy.
func (h KafkaHandle) Proxy() *TCPProxy {
	h.t.Helper()
	return proxyOn(h.t, h.k.proxyPort, h.k.behindProxy)
}

type kafkaServer struct {
	server
	address     string
	behindProxy string
	proxyPort   int
}

// kafkaSettings are a broker that may be the controller, too. What is written
// reaches the system before it is acknowledged and so survives kill -9.
const kafkaSettings = `process.roles=broker,controller
node.id=%[7]d
controller.quorum.voters=%[8]s
listeners=PLAIN://%[1]s,PROXIED://%[2]s,CONTROLLER://%[4]s%[6]s
advertised.listeners=PLAIN://%[1]s,PROXIED://%[3]s%[6]s
listener.security.protocol.map=PLAIN:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAIN
log.dirs=%[5]s
auto.create.topics.enable=false
default.replication.factor=%[9]d
min.insync.replicas=%[10]d
offsets.topic.replication.factor=%[9]d
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=%[9]d
transaction.state.log.min.isr=%[10]d
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
num.network.threads=2
num.io.threads=2
log.cleaner.enable=false
`

// clusterSettings have a broker that died replaced soon.
const clusterSettings = `broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
`

// secureListener is one more listener of a broker; nil: it has none.
type secureListener struct {
	KafkaAccess
	address string
}

// listed is the listener as a list has it.
func (l *secureListener) listed() string {
	if l == nil {
		return ""
	}
	return ",SECURE://" + l.address
}

// settings are those of the listener alone.
func (l *secureListener) settings() string {
	if l == nil {
		return ""
	}
	const module = "org.apache.kafka.common.security."
	return fmt.Sprintf(`listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location=%[1]s
listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.secure.plain.sasl.jaas.config=%[4]splain.PlainLoginModule required user_%[2]s="%[3]s";
listener.name.secure.scram-sha-256.sasl.jaas.config=%[4]sscram.ScramLoginModule required;
listener.name.secure.scram-sha-512.sasl.jaas.config=%[4]sscram.ScramLoginModule required;
`, l.Identity, l.Username, l.Password, module)
}

// credentials are the users that the broker's folder is made with.
func (l *secureListener) credentials() (args []string) {
	if l == nil {
		return nil
	}
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, l.Username, l.Password))
	}
	return args
}

// newBroker is a cluster of one.
func newBroker(secure *secureListener) (*kafkaServer, error) {
	brokers, err := newKafka(1, secure)
	if err != nil {
		return nil, err
	}
	return brokers[0], nil
}

func newKafka(n int, secure *secureListener) ([]*kafkaServer, error) {
	var voters []string
	ports := make([][4]int, n)
	for i := range ports {
		for j := range ports[i] {
			port, err := freePort()
			if err != nil {
				return nil, err
			}
			ports[i][j] = port
		}
		voters = append(voters, fmt.Sprintf("%d@%s", i+1, local(ports[i][3])))
	}
	brokers := make([]*kafkaServer, n)
	for i := range brokers {
		k, err := prepareBroker(i+1, ports[i], voters, secure)
		if err != nil {
			return nil, err
		}
		brokers[i] = k
	}
	return brokers, nil
}

func prepareBroker(id int, ports [4]int, voters []string, secure *secureListener) (*kafkaServer, error) {
	java, err := program("java")
	if err != nil {
		return nil, err
	}
	jars, err := kafkaJars()
	if err != nil {
		return nil, err
	}
	dir, err := newDir("kafka")
	if err != nil {
		return nil, err
	}
	replicas := min(len(voters), 3)
	k := &kafkaServer{address: local(ports[0]), behindProxy: local(ports[1]), proxyPort: ports[2]}
	file := filepath.Join(dir, "server.properties")
	text := fmt.Sprintf(kafkaSettings, k.address, k.behindProxy, local(k.proxyPort), local(ports[3]), filepath.Join(dir, "data"), secure.listed(),
		id, strings.Join(voters, ","), replicas, max(1, replicas-1)) + secure.settings()
	if len(voters) > 1 {
		text += clusterSettings
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return nil, err
	}
	run := func(class string, args ...string) *exec.Cmd {
		return exec.Command(java, append([]string{ //nolint:noctx // ends by itself, or Stop ends it
			"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
			"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", jars, class,
		}, args...)...)
	}
	format := run("kafka.tools.StorageTool", append([]string{"format", "-t", "4L6g3nShT-eMCtK--X86sw", "-c", file}, secure.credentials()...)...)
	format.Dir = dir
	if out, err := format.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("format Kafka's data folder: %w\n%s", err, out)
	}
	k.server = server{
		name: "Kafka", dir: dir, quit: syscall.SIGTERM, abandon: syscall.SIGKILL,
		command: func() *exec.Cmd { return run("kafka.Kafka", file) },
		ready:   func() error { return kafkaReady(k.address) },
	}
	return k, nil
}

// kafkaReady asks for the broker's own description, which it gives once it has
// registered with its controller.
func kafkaReady(address string) error {
	conn, err := net.Dial("tcp", address) //nolint:noctx // on this machine: answers at once
	if err != nil {
		return err
	}
	conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	answer, err := (&kafka.Client{Addr: kafka.TCP(address), Transport: transport}).Metadata(ctx, &kafka.MetadataRequest{})
	if err == nil && len(answer.Brokers) == 0 {
		err = errors.New("no broker has registered yet")
	}
	return err
}

// kafkaJars is the class path that `make deps` filled, in the module's bin/kafka.
func kafkaJars() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("the tests do not run inside the module, whose bin/kafka holds Kafka")
		}
		dir = up
	}
	jars, _ := filepath.Glob(filepath.Join(dir, "bin", "kafka", "*.jar")) // fails for a malformed pattern only
	if len(jars) == 0 {
		return "", errors.New("the artifacts of Kafka are not in bin/kafka: run `make deps`")
	}
	return strings.Join(jars, ":"), nil
}
