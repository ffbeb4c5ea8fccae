//! The way to the CI service and the registry: their names, and a TCP connection. TLS is not spoken.

use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use zeroize::Zeroizing;

use super::tokens;
use super::trials::told;
use crate::config::FlavorName;
use crate::doctor::check::{Case, Check, Finding, Status};
use crate::doctor::duty::Duty;
use crate::doctor::scene::Scene;
use linux::{program, trial, userns};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "network.names",
        title: "Names of hosts are found",
        how: "Asks getent(1), which looks where this image's programs look, for each host of --reach, of storage.insecure_registries and of the flavor's CI service (that one only where no proxy is named).",
        limit: Duration::from_secs(4),
        look: names,
        cases: &[UNKNOWN, NO_ANSWER],
        ..Check::NEW
    },
    Check {
        id: "network.tcp",
        title: "Hosts can be reached",
        how: "Opens a TCP connection to each of the same hosts, and closes it again. A second is enough for each.",
        after: &["network.names"],
        limit: Duration::from_secs(10),
        look: tcp,
        cases: &[UNREACHABLE],
        ..Check::NEW
    },
];

const UNKNOWN: Case = Case {
    name: "unknown",
    status: Status::Fail,
    means: "This pod cannot find the address of a host that the job needs: the name is wrong, or no DNS server answers, or a network policy keeps the pod from it.",
    cure: "cat /etc/resolv.conf; getent ahosts {host}\nA network policy that restricts what a pod may reach must let it ask DNS:\n  egress: [{ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}]",
};
const NO_ANSWER: Case = Case {
    name: "no-answer",
    means: "This pod asks for the address of a host that the job needs, and no DNS server answers: a network policy or firewall keeps the pod from it, or the server that /etc/resolv.conf names first is down. Every name takes seconds then, or fails.",
    ..UNKNOWN
};
const UNREACHABLE: Case = Case {
    name: "unreachable",
    status: Status::Fail,
    means: "The host is known, and no connection to it comes about: nothing listens there, or a firewall or network policy stands between.",
    cure: "In the namespace's network policy, let the pod out:\n  egress: [{to: [{ipBlock: {cidr: {cidr}}}], ports: [{port: {port}}]}]\nBehind a proxy, name the proxy's host and port to --reach instead.",
};

/// Less than the five seconds after which a resolver asks again: whoever has not answered yet is not there.
const PATIENCE_FOR_NAMES: Duration = Duration::from_millis(1500);
/// A second is long for a handshake, short for a person.
const PATIENCE: Duration = Duration::from_secs(1);

/// Host and port of `HOST[:PORT]`, `[IPV6]:PORT` or a URL's beginning.
fn split(text: &str) -> (String, u16) {
    let usual = if text.starts_with("http://") { 80 } else { 443 };
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let text = text.split('/').next().unwrap_or_default();
    if text.parse::<IpAddr>().is_ok() {
        return (text.to_owned(), usual);
    }
    if let Some((host, port)) = text.rsplit_once(':') {
        if let Ok(port) = port.parse() {
            return (host.trim_matches(['[', ']']).to_owned(), port);
        }
    }
    (text.trim_matches(['[', ']']).to_owned(), usual)
}

fn hosts(scene: &Scene) -> Vec<(String, u16)> {
    let registries = &scene.config.storage.insecure_registries;
    let named = scene.reach.iter().chain(registries).cloned();
    named
        .chain(service(scene))
        .map(|text| split(&text))
        .collect()
}

/// The CI service of the flavor. Behind a proxy it is the proxy's to find.
fn service(scene: &Scene) -> Option<String> {
    let proxied = ["https_proxy", "HTTPS_PROXY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    if proxied || scene.excused(Duty::Job).is_some() {
        return None;
    }
    let config = &scene.config;
    let or = |url: Option<String>, usual: &str| Some(url.unwrap_or_else(|| usual.to_owned()));
    match config.flavor {
        FlavorName::Github => or(
            config.github.url.clone().or_else(|| staged(scene)),
            "github.com",
        ),
        FlavorName::Circleci => or(config.circleci.url.clone(), "runner.circleci.com"),
        FlavorName::Local | FlavorName::Exec => None,
    }
}

/// What a JIT configuration among the staged secrets says.
fn staged(scene: &Scene) -> Option<String> {
    let entries = std::fs::read_dir(&scene.config.secrets.directory).ok()?;
    let texts = entries
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
    texts
        .map(Zeroizing::new)
        .find_map(|text| tokens::server(&text))
}

/// What became of asking for a host.
enum Answer {
    Addresses(Vec<IpAddr>),
    /// Nobody answered in time.
    Silence,
}

/// The answers for all hosts, asked side by side; `None` where nobody can be asked.
fn ask(hosts: &[(String, u16)]) -> Option<Vec<Answer>> {
    let end = Instant::now() + PATIENCE_FOR_NAMES;
    let asked: Option<Vec<_>> = hosts.iter().map(|(host, _)| start(host)).collect();
    Some(
        (asked?.into_iter())
            .map(|asked| asked.answer(end))
            .collect(),
    )
}

/// A host that is its address already, or getent at work.
enum Asked {
    Address(IpAddr),
    Getent(Child),
}

/// It ends with us, and does not outlive the wait for it.
fn start(host: &str) -> Option<Asked> {
    if let Ok(address) = host.parse() {
        return Some(Asked::Address(address));
    }
    let child = trial::again(userns::BOUND)
        .arg(program::find("getent")?)
        .args(["ahosts", "--", host])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    child.ok().map(Asked::Getent)
}

impl Asked {
    fn answer(self, end: Instant) -> Answer {
        let mut child = match self {
            Self::Address(address) => return Answer::Addresses(vec![address]),
            Self::Getent(child) => child,
        };
        while matches!(child.try_wait(), Ok(None)) {
            if Instant::now() >= end {
                let _ = child.kill();
                let _ = child.wait();
                return Answer::Silence;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let mut text = String::new();
        // What is no text holds no address.
        let _ = child
            .stdout
            .map(|mut stdout| stdout.read_to_string(&mut text));
        Answer::Addresses(listed(&text))
    }
}

/// The addresses in getent's answer, which names each once for every kind of socket.
fn listed(text: &str) -> Vec<IpAddr> {
    let first = text.lines().filter_map(|line| line.split(' ').next());
    let mut found: Vec<IpAddr> = first.filter_map(|address| address.parse().ok()).collect();
    found.dedup();
    found
}

fn names(scene: &Scene) -> Finding {
    let hosts = hosts(scene);
    if hosts.is_empty() {
        return Finding::skipped("no host to ask for: name one with --reach HOST[:PORT]");
    }
    let Some(answers) = ask(&hosts) else {
        return Finding::skipped("there is no getent in this image to ask");
    };
    for ((host, _), answer) in hosts.iter().zip(answers) {
        match answer {
            Answer::Silence => {
                let found = format!(
                    "nobody told the address of {host} within {} ms",
                    PATIENCE_FOR_NAMES.as_millis()
                );
                return Finding::case(NO_ANSWER, found).fill("host", host);
            }
            Answer::Addresses(found) if found.is_empty() => {
                return Finding::case(UNKNOWN, format!("{host} has no address")).fill("host", host);
            }
            Answer::Addresses(_) => {}
        }
    }
    let names: Vec<_> = hosts.into_iter().map(|(host, _)| host).collect();
    Finding::ok(names.join(", "))
}

fn tcp(scene: &Scene) -> Finding {
    let hosts = hosts(scene);
    if hosts.is_empty() {
        return Finding::skipped("no host to reach: name one with --reach HOST[:PORT]");
    }
    let answers = ask(&hosts).unwrap_or_default();
    for (index, (host, port)) in hosts.iter().enumerate() {
        let found = match answers.get(index) {
            Some(Answer::Addresses(found)) => &found[..],
            _ => &[],
        };
        let Some(address) = found.first() else {
            return Finding::skipped(format!("the address of {host} is not known"));
        };
        if let Err(why) = connect(found, *port) {
            return Finding::case(UNREACHABLE, format!("{host}:{port}: {why}"))
                .fill("cidr", cidr(*address))
                .fill("port", port.to_string());
        }
    }
    let reached = hosts.iter().map(|(host, port)| format!("{host}:{port}"));
    Finding::ok(reached.collect::<Vec<_>>().join(", "))
}

/// The block that holds this address alone.
fn cidr(address: IpAddr) -> String {
    let length = if address.is_ipv4() { 32 } else { 128 };
    format!("{address}/{length}")
}

/// Connects to the first address that answers.
fn connect(addresses: &[IpAddr], port: u16) -> Result<(), String> {
    let mut why = String::new();
    for address in addresses.iter().take(3) {
        match TcpStream::connect_timeout(&SocketAddr::new(*address, port), PATIENCE) {
            Ok(_) => return Ok(()),
            Err(error) => {
                why = error.raw_os_error().map_or_else(
                    || format!("{address} does not answer within {} s", PATIENCE.as_secs()),
                    |errno| format!("{address}: {}", told(Errno::from_raw(errno))),
                );
            }
        }
    }
    Err(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_taken_with_or_without_its_port() {
        let host = |text: &str| split(text);
        assert_eq!(host("ghcr.io"), ("ghcr.io".to_owned(), 443));
        assert_eq!(host("127.0.0.1:5000"), ("127.0.0.1".to_owned(), 5000));
        assert_eq!(host("https://ghcr.io/v2/"), ("ghcr.io".to_owned(), 443));
        assert_eq!(host("http://ci.example/a"), ("ci.example".to_owned(), 80));
        assert_eq!(host("[::1]:80"), ("::1".to_owned(), 80));
        assert_eq!(host("::1"), ("::1".to_owned(), 443));
    }

    #[test]
    fn a_network_policy_names_one_address_of_either_kind() {
        assert_eq!(cidr("192.0.2.1".parse().unwrap()), "192.0.2.1/32");
        assert_eq!(cidr("2001:db8::1".parse().unwrap()), "2001:db8::1/128");
    }

    #[test]
    fn each_address_is_listed_once() {
        let text =
            "::1             STREAM localhost\n::1             DGRAM  \n127.0.0.1       STREAM \n";
        assert_eq!(
            listed(text),
            ["::1", "127.0.0.1"].map(|address| address.parse::<IpAddr>().unwrap())
        );
        assert!(listed("").is_empty());
    }

    #[test]
    fn who_does_not_answer_is_not_waited_for() {
        let mut sleep = std::process::Command::new("sleep");
        let child = sleep.arg("1000").stdout(Stdio::piped()).spawn().unwrap();
        let answer = Asked::Getent(child).answer(Instant::now());
        assert!(matches!(answer, Answer::Silence));
    }

    #[test]
    fn a_port_where_nobody_listens_is_told_by_its_errno() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let local = ["127.0.0.1".parse().unwrap()];
        assert_eq!(connect(&local, port), Ok(()));
        // No other test can listen on this one, unlike on the port that a closed listener had.
        assert!(connect(&local, 1).unwrap_err().contains("ECONNREFUSED"));
    }
}
