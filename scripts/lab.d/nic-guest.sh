# In the machine of `scripts/lab nic`: takes the NIC, runs the sensor on it, and checks what came of it.
#
#   nic-guest.sh POLLUX WORK [span]
set -euo pipefail
cd "$(dirname "$0")/../.."
pollux=$1
work=$2
say() { echo "nic: in the machine: $*"; }
fail() { say "FAILED: $*"; exit 1; }

ip link set lo up
if [ "${3:-}" = span ]; then
    modprobe tun
    mkdir -p /tmp/span
    scripts/lab.d/span --pollux "$pollux" --require --keep /tmp/span 2>&1 ||
        { tail -n 5 /tmp/span/*.log /tmp/span/*/log; fail "the span lab"; }
fi
# A driver that drops flows, by this kernel's tc.
modprobe -a tun sch_multiq cls_flower act_gact
scripts/lab.d/bypass --pollux "$pollux" --require --keep /tmp/bypass || fail "the bypass lab"
modprobe igb
modprobe virtio_net
modprobe vfio-pci
by_mac() { grep -l "^52:54:00:00:00:0$1" /sys/class/net/*/address | head -n 1 | cut -d/ -f5; }
for _ in $(seq 100); do [ -n "$(by_mac 1)" ] && [ -n "$(by_mac 2)" ] && [ -n "$(by_mac 3)" ] && break; sleep 0.2; done
mirror=$(by_mac 1) sender=$(by_mac 2) uplink=$(by_mac 3)
[ -n "$mirror" ] && [ -n "$sender" ] && [ -n "$uplink" ] || fail "not all NICs are there: $(ls /sys/class/net)"
sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
address=$(basename "$(readlink -f "/sys/class/net/$mirror/device")")
ip link set "$uplink" up
ip addr add 192.0.2.9/24 dev "$uplink"
ip route add default via 192.0.2.1 dev "$uplink"
ip link set "$sender" mtu 1600 arp off up

scripts/hugepages 512
scripts/bind-nic "$uplink" 2>/tmp/refused && fail "the default route's NIC was taken"
grep -q 'default route' /tmp/refused || fail "refused for another reason: $(cat /tmp/refused)"
scripts/bind-nic "$mirror"
[ ! -e "/sys/class/net/$mirror" ] || fail "$mirror is still the kernel's"

# Of so many queues: configuration and output directory of a sensor.
configure() {
    mkdir -p "/tmp/out$1"
    cat >"/tmp/pollux$1.toml" <<CONF
[[ports]]
device = "$address"
queues = $1
mtu = 1600
idle = "interrupt"
[source]
directory = "$PWD/deploy/examples/resources"
[sensor]
node = "node-a"
grace = "50ms"
[rules]
paths = ["$PWD/deploy/examples/rules"]
cache = "off"
[overload]
bypass = "auto"
[outputs]
directory = "/tmp/out$1"
CONF
}
start() {
    "$pollux" run -c "/tmp/pollux$1.toml" 2>/tmp/log &
    pid=$!
    for _ in $(seq 600); do
        grep -q "inspecting" /tmp/log && break
        kill -0 "$pid" 2>/dev/null || fail "the sensor ended: $(cat /tmp/log)"
        sleep 0.2
    done
    # What is sent before the link is up never comes.
    grep -q "link up" /tmp/log || fail "the link does not come up: $(cat /tmp/log)"
    cat /tmp/log
    sleep 1
}
send_and_stop() {
    tcpreplay -q -i "$sender" --pps 250 "$work/example.pcap" | tee /tmp/sent
    sleep 3
    kill -TERM "$pid"
    wait "$pid" || fail "the sensor ended with an error: $(tail -n 5 /tmp/log)"
    tail -n 3 /tmp/log
    sent=$(awk '/Successful packets/ { print $3 }' /tmp/sent)
    python3 scripts/lab.d/nic-check.py "/tmp/out$1" "$sent" "$work/example.json" "$1"
}
# Hundredths of seconds that the sensor's process has taken of the CPUs.
ticks() { awk '{ print $14 + $15 }' "/proc/$pid/stat"; }
# How often its worker has gone to sleep.
sleeps() {
    local worker
    worker=$(grep -lx pollux-0 /proc/"$pid"/task/*/comm)
    awk '/^voluntary/ { print $2 }' "${worker%comm}status"
}

configure 2
"$pollux" doctor -c /tmp/pollux2.toml || fail "the doctor finds the machine not ready"
start 2
grep -q "wait for no interrupt" /tmp/log && fail "the NIC has no interrupts for two cores"
before=$(ticks)
sleep 10
say "two cores that wait for interrupts, and look each millisecond for what was handed over, take $((($(ticks) - before) / 10)) % of a CPU"
send_and_stop 2

# One core waits for the NIC's interrupts, and takes little time while nothing comes.
configure 1
start 1
grep -q "wait for no interrupt" /tmp/log && fail "the NIC has no interrupts"
before=$(ticks) slept=$(sleeps)
sleep 10
taken=$(($(ticks) - before)) slept=$(($(sleeps) - slept))
say "one core that waits for interrupts takes $((taken / 10)) % of a CPU, and has waited $slept times in 10 s"
[ "$taken" -lt 500 ] || fail "an idle core takes $((taken / 10)) % of a CPU: it does not wait"
# At most 10 ms each; sleeping without interrupts it would be tens of microseconds.
[ "$slept" -gt 100 ] && [ "$slept" -lt 3000 ] || fail "it sleeps for moments, and waits for no interrupt"
send_and_stop 1
scripts/bind-nic --back "$address"
for _ in $(seq 50); do [ -n "$(by_mac 1)" ] && break; sleep 0.2; done
[ -n "$(by_mac 1)" ] || fail "the kernel did not get its NIC back"
