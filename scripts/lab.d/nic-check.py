"""Checks what the sensor wrote in `scripts/lab nic`.

    nic-check.py DIRECTORY SENT MANIFEST QUEUES
"""

import json
import pathlib
import sys


def main() -> int:
    directory, sent, manifest, wanted_queues = sys.argv[1:]
    out = pathlib.Path(directory)
    ledger = json.loads((out / "ledger.json").read_text())
    planted = json.loads(pathlib.Path(manifest).read_text())
    events = [json.loads(line) for line in (out / "eve.json").read_text().splitlines()]
    port = ledger["ports"][0]
    queues = port["queues"]
    problems = []

    def expect(what: str, is_so: bool) -> None:
        if not is_so:
            problems.append(what)

    received = ledger["totals"]["received"]
    lost = sum(port["nic"][name] or 0 for name in ("imissed", "ierrors"))
    expect(f"{sent} packets were sent, {received} received, {lost} lost by the NIC", received + lost == int(sent))
    for queue in queues:
        into = queue["received"] + queue["handed_in"]
        fates = queue["inspected"] + queue["unscoped"] + queue["handed_out"] + sum(queue["dropped"].values())
        expect(f"queue {queue['queue']}: {into} packets, {fates} fates", into == fates)
    expect(f"driver {port['driver']}", port["driver"] == "net_e1000_igb")
    spread = "one worker" if wanted_queues == "1" else "NIC, symmetric"
    expect(f"spread {port['spread']}", port["spread"].startswith(spread))
    expect(f"{wanted_queues} queues", len(queues) == int(wanted_queues))
    expect("each queue has its share", all(queue["received"] > 200 for queue in queues))
    # Most packets are in no tunnel and no fragment: the NIC has placed them.
    handed = sum(queue["handed_out"] for queue in queues)
    expect(f"{handed} of {received} handed over", handed * 4 < received)
    expect(f"xstats {port['xstats'].get('rx_good_packets')}", port["xstats"].get("rx_good_packets") == received)
    # Its driver can give flows to queues, but not drop them: that is said, and nothing else changes.
    refusal = port["bypass"]["refusal"] or ""
    expect(f"long flows are not left to it: {refusal}", refusal.startswith("net_e1000_igb could not have a flow dropped: "))
    alerts = sorted(e["alert"]["signature_id"] for e in events if e["event_type"] == "alert")
    wanted = sorted(alert["sid"] for alert in planted["alerts"] if alert["resources"])
    expect(f"alerts {alerts}, planted {wanted}", lost > 0 or alerts == wanted)

    print(f"nic: {received} of {sent} packets received, {lost} lost by the NIC, {handed} handed over, ", end="")
    print(f"{len(alerts)} alerts; {port['driver']}, link {port['link']}; {port['spread']}")
    print("nic:", [(q["received"], q["handed_in"], q["handed_out"]) for q in queues])
    for problem in problems:
        print(f"nic: not so: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
