"""Checks what a sensor wrote in `scripts/lab span`: the same alerts in every envelope, every packet's fate.

    span-check.py DRIVER DIRECTORY PACKETS NAME=SUBNET…
"""

import collections
import json
import pathlib
import sys

WANTED = {9300001: "http", 9300002: "dns", 9300003: "smtp", 9300004: "smb"}


def main() -> int:
    driver, directory, packets, *envelopes = sys.argv[1:]
    out = pathlib.Path(directory)
    ledger = json.loads((out / "ledger.json").read_text())
    lines = (out / "eve.json").read_text().splitlines()
    alerts = [event for event in map(json.loads, lines) if event["event_type"] == "alert"]
    problems = []

    raised = collections.defaultdict(set)
    for alert in alerts:
        subnet = alert["dest_ip"].rsplit(".", 1)[0]
        raised[subnet].add(alert["alert"]["signature_id"])
    for envelope in envelopes:
        name, subnet = envelope.split("=")
        got = raised.pop(subnet, set())
        wanted = set() if name == "wireguard" else set(WANTED)
        for sid in wanted - got:
            problems.append(f"{name}: no alert for {WANTED[sid]}")
        for sid in got - wanted:
            problems.append(f"{name}: an alert that must not be: {sid}")
    for subnet, sids in raised.items():
        problems.append(f"alerts of nobody's subnet {subnet}: {sorted(sids)}")

    # What cannot be looked into is told by the pair of nodes that it goes between.
    encrypted = any(envelope.startswith("wireguard=") for envelope in envelopes)
    wanted = [("10.70.0.1", "10.70.0.2", "WireGuard")] if encrypted else []
    opaque = [(pair["first"], pair["second"], pair["kind"]) for pair in ledger["opaque"]]
    if opaque != wanted or not all(pair["packets"] > 0 for pair in ledger["opaque"]):
        problems.append(f"opaque is to be {wanted}: {ledger['opaque']}")

    port = ledger["ports"][0]
    for queue in port["queues"]:
        into = queue["received"] + queue["handed_in"]
        fates = queue["inspected"] + queue["unscoped"] + queue["handed_out"] + sum(queue["dropped"].values())
        if into != fates:
            problems.append(f"queue {queue['queue']}: {into} packets, {fates} fates")
    received = ledger["totals"]["received"]
    lost = sum(port["nic"][name] or 0 for name in ("imissed", "ierrors"))
    if received + lost != int(packets):
        problems.append(f"the interface counted {packets} packets, the ledger {received} and {lost} lost")
    if driver == "af_xdp":
        idle = [queue["queue"] for queue in port["queues"] if not queue["received"]]
        if len(port["queues"]) != 2 or idle:
            problems.append(f"both queues were to receive: {port['queues']}")

    drops = collections.Counter()
    for queue in port["queues"]:
        drops.update(queue["dropped"])
    print(
        f"span: {driver}: {received} packets received of {packets}, {lost} lost before, "
        f"{ledger['totals']['inspected']} inspected, dropped {dict(drops)}; {len(alerts)} alerts "
        f"({port['spread']})",
        file=sys.stderr,
    )
    for problem in problems:
        print(f"span: {driver}: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
