//! What the example's pods do all day: nothing in here may raise an alert, though some of it
//! comes near.

use std::io;
use std::net::Ipv4Addr;

use super::cluster::*;
use super::scene::Scene;
use crate::frame;
use crate::payload::{Prose, dns, http, tls};
use crate::{Delivery, Order, Path, Side, Sink, Track};

/// Plays all of it.
pub(super) fn play(scene: &mut Scene) -> io::Result<()> {
    let prose = Prose::new(scene.random.number());
    for round in 0..24 {
        customers(scene, &prose, round)?;
        page_behind_the_frontend(scene, &prose)?;
        cart(scene, &prose)?;
        cache(scene)?;
    }
    for _ in 0..8 {
        database(scene, &prose)?;
        metrics(scene, &prose)?;
        bank(scene)?;
        job(scene, &prose)?;
        over_ipv6(scene, &prose)?;
    }
    for _ in 0..6 {
        names(scene)?;
        pings(scene)?;
    }
    Ok(())
}

/// A customer looks at pages; the last round's go on for longer than one segment, one of them
/// delivered badly.
fn customers(scene: &mut Scene, prose: &Prose, round: usize) -> io::Result<()> {
    let customer = scene.customer();
    let frontend = *scene.random.pick(&[&FRONTEND_1, &FRONTEND_2]);
    let path = scene.inwards(customer, frontend, 8080);
    let (mut track, mut session) = (scene.track(), scene.session(path));
    session.open(&mut track)?;
    // Near misses of the rules for directory traversal and JNDI.
    let targets = ["/", "/articles?page=2", "/docs/etc/passwd-policy.html", "/jndi/ldap.html"];
    for _ in 0..1 + scene.random.below(3) {
        let target = scene.random.pick(&targets);
        let request = http::Request::get("shop.example", target).to_bytes();
        session.send(Side::Client, &request, &mut track)?;
        track.pause(2_000 + scene.random.below(9_000));
        let length = 300 + scene.random.below(6_000) as usize;
        let body = prose.slice(length, &mut scene.random);
        let response = match round % 3 {
            0 => http::chunked_response("text/html", body, 1_000),
            _ => http::response("200 OK", "text/html", body),
        };
        let delivery = match round % 8 {
            1 => Delivery { order: Order::Swapped, ..Delivery::default() },
            2 => Delivery { repeated: true, ..Delivery::default() },
            _ => Delivery::default(),
        };
        session.deliver(Side::Server, &response, delivery, &mut track)?;
        track.pause(20_000 + scene.random.below(50_000));
    }
    match round % 12 {
        5 => session.reset(Side::Client, &mut track)?,
        _ => session.close(Side::Client, &mut track)?,
    }
    scene.add(&path, track);
    Ok(())
}

fn page_behind_the_frontend(scene: &mut Scene, prose: &Prose) -> io::Result<()> {
    let frontend = *scene.random.pick(&[&FRONTEND_1, &FRONTEND_2]);
    let path = scene.between(frontend, &WEB, 8080);
    exchange(scene, prose, path, "GET", "web.shop.svc.cluster.local", "/render/basket")
}

fn cart(scene: &mut Scene, prose: &Prose) -> io::Result<()> {
    let client = *scene.random.pick(&[&FRONTEND_1, &FRONTEND_2, &WEB]);
    let path = scene.between(client, &CART, 9090);
    exchange(scene, prose, path, "POST", "cart.shop.svc.cluster.local", "/v1/basket/items.php5")
}

fn metrics(scene: &mut Scene, prose: &Prose) -> io::Result<()> {
    for pod in [&FRONTEND_1, &CART, &COREDNS, &GRAFANA, &SANDBOX] {
        let path = scene.between(&PROMETHEUS, pod, 9100);
        exchange(scene, prose, path, "GET", "metrics", "/metrics")?;
    }
    Ok(())
}

fn over_ipv6(scene: &mut Scene, prose: &Prose) -> io::Result<()> {
    let path = Path::new(FRONTEND_1.at6(scene.port()), WEB.at6(8080));
    exchange(scene, prose, path, "GET", "web.shop.svc.cluster.local", "/render/start")
}

/// One request and its response.
fn exchange(
    scene: &mut Scene,
    prose: &Prose,
    path: Path,
    method: &str,
    host: &str,
    target: &str,
) -> io::Result<()> {
    let (mut track, mut session) = (scene.track(), scene.session(path));
    let length = 50 + scene.random.below(900) as usize;
    let body = prose.slice(length, &mut scene.random);
    let sent: &[u8] = if method == "POST" { body } else { &[] };
    let request = http::Request { method, target, host, fields: &[], body: sent };
    session.open(&mut track)?;
    session.send(Side::Client, &request.to_bytes(), &mut track)?;
    track.pause(1_000);
    let response = http::response("200 OK", "application/json", body);
    session.send(Side::Server, &response, &mut track)?;
    session.close(Side::Server, &mut track)?;
    scene.add(&path, track);
    Ok(())
}

/// Redis's protocol, near to what the rule for its abuse looks for.
fn cache(scene: &mut Scene) -> io::Result<()> {
    let client = *scene.random.pick(&[&FRONTEND_1, &CART]);
    let path = scene.between(client, &REDIS, 6379);
    let (mut track, mut session) = (scene.track(), scene.session(path));
    session.open(&mut track)?;
    session.send(Side::Client, b"*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$3\r\ndir\r\n", &mut track)?;
    session.send(Side::Server, b"*2\r\n$3\r\ndir\r\n$5\r\n/data\r\n", &mut track)?;
    for _ in 0..1 + scene.random.below(4) {
        let key = scene.random.below(100_000);
        let request = format!("*2\r\n$3\r\nGET\r\n$11\r\nbasket:{key:04}\r\n");
        session.send(Side::Client, request.as_bytes(), &mut track)?;
        session.send(Side::Server, b"$7\r\npending\r\n", &mut track)?;
    }
    session.close(Side::Client, &mut track)?;
    scene.add(&path, track);
    Ok(())
}

/// PostgreSQL's protocol: start-up, a query, rows.
fn database(scene: &mut Scene, prose: &Prose) -> io::Result<()> {
    let client = *scene.random.pick(&[&CART, &BACKUP]);
    let path = scene.between(client, &POSTGRES, 5432);
    let (mut track, mut session) = (scene.track(), scene.session(path));
    session.open(&mut track)?;
    let parameters = b"\0\x03\0\0user\0shop\0database\0shop\0\0";
    let mut startup = (parameters.len() as u32 + 4).to_be_bytes().to_vec();
    startup.extend(parameters);
    session.send(Side::Client, &startup, &mut track)?;
    session.send(Side::Server, b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I", &mut track)?;
    let query = b"select id, name from items where id in (select item from union_members)\0";
    let mut message = b"Q".to_vec();
    message.extend((query.len() as u32 + 4).to_be_bytes());
    message.extend(query);
    session.send(Side::Client, &message, &mut track)?;
    let row = prose.slice(2_500, &mut scene.random);
    let mut rows = b"D".to_vec();
    rows.extend((row.len() as u32 + 10).to_be_bytes());
    rows.extend(1_u16.to_be_bytes());
    rows.extend((row.len() as u32).to_be_bytes());
    rows.extend(row);
    session.send(Side::Server, &rows, &mut track)?;
    session.close(Side::Client, &mut track)?;
    scene.add(&path, track);
    Ok(())
}

/// Payments over TLS, to names that are near to one that a rule looks for.
fn bank(scene: &mut Scene) -> io::Result<()> {
    for name in ["api.bank.example", "notc2.example", "www.c2.example.org"] {
        let path = scene.outwards(&FRONTEND_2, outside::BANK, 443);
        let (mut track, mut session) = (scene.track(), scene.session(path));
        let random = &mut scene.random;
        session.open(&mut track)?;
        session.send(Side::Client, &tls::client_hello(name, random), &mut track)?;
        session.send(Side::Server, &tls::server_hello(random), &mut track)?;
        session.send(Side::Client, &tls::client_finished(random), &mut track)?;
        session.send(Side::Client, &tls::encrypted(420, random), &mut track)?;
        track.pause(30_000);
        session.send(Side::Server, &tls::encrypted(3_000, random), &mut track)?;
        session.close(Side::Client, &mut track)?;
        scene.add(&path, track);
    }
    Ok(())
}

/// A job hands its result in.
fn job(scene: &mut Scene, prose: &Prose) -> io::Result<()> {
    let client = *scene.random.pick(&[&REPORT, &IMPORT]);
    let path = scene.between(client, &CART, 9090);
    exchange(scene, prose, path, "PUT", "cart.shop.svc.cluster.local", "/v1/reports/2026-01-01")
}

/// Pods ask the cluster's DNS, and that asks the resolver for names outside.
fn names(scene: &mut Scene) -> io::Result<()> {
    let inside = ["web.shop.svc.cluster.local", "redis.data.svc.cluster.local"];
    let outside = ["api.bank.example", "notknown-bad.example", "tunnel.example.org"];
    for pod in [&FRONTEND_1, &FRONTEND_2, &WEB, &CART, &REPORT, &IMPORT, &GRAFANA, &SANDBOX] {
        let name = *scene.random.pick(&inside);
        ask(scene, pod, name, Ipv4Addr::new(10, 96, 0, 20))?;
        let name = *scene.random.pick(&outside);
        ask(scene, pod, name, outside::BANK)?;
        let path = scene.outwards(&COREDNS, outside::RESOLVER, 53);
        question(scene, path, name, outside::BANK)?;
    }
    Ok(())
}

fn ask(scene: &mut Scene, pod: &Pod, name: &str, address: Ipv4Addr) -> io::Result<()> {
    let path = scene.between(pod, &COREDNS, 53);
    question(scene, path, name, address)
}

fn question(scene: &mut Scene, path: Path, name: &str, address: Ipv4Addr) -> io::Result<()> {
    let id = scene.random.number() as u16;
    let mut track = scene.track();
    datagram(scene, &mut track, &path, Side::Client, &dns::query(id, name, dns::Kind::A))?;
    track.pause(300);
    let answer = dns::address_answer(id, name, address);
    datagram(scene, &mut track, &path, Side::Server, &answer)?;
    scene.add(&path, track);
    Ok(())
}

/// A UDP datagram.
pub(super) fn datagram(
    scene: &mut Scene,
    track: &mut Track,
    path: &Path,
    from: Side,
    payload: &[u8],
) -> io::Result<()> {
    let mut out = Vec::new();
    frame::udp(&mut out, path, from, scene.random.number() as u16, payload);
    track.put(&out)
}

/// Pods ping each other, over both versions of IP.
fn pings(scene: &mut Scene) -> io::Result<()> {
    let paths = [
        Path::new(GRAFANA.at(0), REDIS.at(0)),
        Path::new(PROMETHEUS.at(0), SANDBOX.at(0)),
        Path::new(FRONTEND_1.at6(0), WEB.at6(0)),
    ];
    for path in paths {
        let mut track = scene.track();
        let mut out = Vec::new();
        for sequence in 0..2 {
            for from in [Side::Client, Side::Server] {
                let id = scene.random.number() as u16;
                frame::echo(
                    &mut out,
                    &path,
                    from,
                    id,
                    sequence,
                    b"abcdefghijklmnopqrstuvwabcdefghi",
                );
                track.put(&out)?;
            }
        }
        scene.add(&path, track);
    }
    Ok(())
}
