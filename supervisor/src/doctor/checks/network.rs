//! The network path to the CI service and the registry: name lookup and a TCP connection, without TLS.

use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use zeroize::Zeroizing;

use super::jwt;
use super::probes::errno_text;
use crate::config::FlavorName;
use crate::doctor::check::{Check, Finding, Observation};
use crate::doctor::context::Context;
use crate::doctor::duty::Duty;
use linux::{probe, program, userns};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "network.names",
        title: "Host names resolve",
        method: "Runs getent(1), which looks up names as the programs of this image do. The hosts are those of --reach, of storage.insecure_registries, and of the flavor's CI service unless a proxy is set.",
        timeout: Duration::from_secs(4),
        run: names,
        findings: &[UNKNOWN, NO_ANSWER],
        ..Check::DEFAULT
    },
    Check {
        id: "network.tcp",
        title: "Hosts can be reached",
        method: "Opens a TCP connection to each of the same hosts, and closes it again. Each has one second.",
        needs: &["network.names"],
        timeout: Duration::from_secs(10),
        run: tcp,
        findings: &[UNREACHABLE],
        ..Check::DEFAULT
    },
];

const UNKNOWN: Finding = Finding::fails("unknown")
    .means("This pod cannot look up the address of a host that the job needs. The name is wrong, or no DNS server is reachable, or a network policy blocks DNS.")
    .remedy("cat /etc/resolv.conf; getent ahosts {host}\nA network policy that restricts egress must allow DNS:\n  egress: [{ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}]");
const NO_ANSWER: Finding = UNKNOWN.named("no-answer")
    .means("No DNS server responded with the address of a host that the job needs. A network policy or firewall blocks DNS, or the first server in /etc/resolv.conf is down. Then every lookup takes seconds, or fails.");
const UNREACHABLE: Finding = Finding::fails("unreachable")
    .means("The host's address is known, but a connection to it fails. No program listens there, or a firewall or network policy blocks it.")
    .remedy("In the namespace's network policy, allow this egress:\n  egress: [{to: [{ipBlock: {cidr: {cidr}}}], ports: [{port: {port}}]}]\nIf the pod uses a proxy, pass the proxy's host and port to --reach instead.");

/// Less than the five seconds after which a resolver repeats its query.
const LOOKUP_TIMEOUT: Duration = Duration::from_millis(1500);
/// Long for a TCP handshake, and short for a user who waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Parses host and port of `HOST[:PORT]`, `[IPV6]:PORT` or the start of a URL.
fn host_and_port(text: &str) -> (String, u16) {
    let usual = if text.starts_with("http://") { 80 } else { 443 };
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let text = text.split('/').next().unwrap_or_default();
    if text.parse::<IpAddr>().is_ok() {
        return (text.to_owned(), usual);
    }
    if let Some((host, port)) = text.rsplit_once(':')
        && let Ok(port) = port.parse()
    {
        return (host.trim_matches(['[', ']']).to_owned(), port);
    }
    (text.trim_matches(['[', ']']).to_owned(), usual)
}

fn hosts(context: &Context) -> Vec<(String, u16)> {
    let registries = &context.config.storage.insecure_registries;
    let named = context.reach.iter().chain(registries).cloned();
    named
        .chain(service(context))
        .map(|text| host_and_port(&text))
        .collect()
}

/// Returns the flavor's CI service. If a proxy is set, the proxy looks it up.
fn service(context: &Context) -> Option<String> {
    let proxied = ["https_proxy", "HTTPS_PROXY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    if proxied || context.excused(Duty::Job).is_some() {
        return None;
    }
    let config = &context.config;
    let or = |url: Option<String>, usual: &str| Some(url.unwrap_or_else(|| usual.to_owned()));
    match config.flavor {
        FlavorName::Github => or(
            config.github.url.clone().or_else(|| staged_server(context)),
            "github.com",
        ),
        FlavorName::Circleci => or(config.circleci.url.clone(), "runner.circleci.com"),
        FlavorName::Local | FlavorName::Exec => None,
    }
}

/// Returns the server of a JIT configuration among the staged secrets.
fn staged_server(context: &Context) -> Option<String> {
    let entries = std::fs::read_dir(&context.config.secrets.directory).ok()?;
    let texts = entries
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
    texts
        .map(Zeroizing::new)
        .find_map(|text| jwt::server(&text))
}

/// The result of a lookup.
enum Lookup {
    Addresses(Vec<IpAddr>),
    TimedOut,
}

/// Looks up all hosts side by side. Returns `None` if the image has no getent.
fn look_up(hosts: &[(String, u16)]) -> Option<Vec<Lookup>> {
    let end = Instant::now() + LOOKUP_TIMEOUT;
    let queries: Option<Vec<_>> = hosts.iter().map(|(host, _)| Query::start(host)).collect();
    let results = queries?.into_iter().map(|query| query.finish(end));
    Some(results.collect())
}

/// A running lookup.
enum Query {
    /// The host is an address already.
    Address(IpAddr),
    Getent(Child),
}

impl Query {
    /// Starts getent, which ends when this process does.
    fn start(host: &str) -> Option<Self> {
        if let Ok(address) = host.parse() {
            return Some(Self::Address(address));
        }
        let child = probe::command(userns::BOUND)
            .arg(program::find("getent")?)
            .args(["ahosts", "--", host])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        child.ok().map(Self::Getent)
    }

    fn finish(self, end: Instant) -> Lookup {
        let mut child = match self {
            Self::Address(address) => return Lookup::Addresses(vec![address]),
            Self::Getent(child) => child,
        };
        while matches!(child.try_wait(), Ok(None)) {
            if Instant::now() >= end {
                let _ = child.kill();
                let _ = child.wait();
                return Lookup::TimedOut;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let mut text = String::new();
        // If the output is not UTF-8, there is no address in it.
        let _ = child
            .stdout
            .map(|mut stdout| stdout.read_to_string(&mut text));
        Lookup::Addresses(addresses(&text))
    }
}

/// Parses getent's output, which has each address once for every type of socket.
fn addresses(text: &str) -> Vec<IpAddr> {
    let first = text.lines().filter_map(|line| line.split(' ').next());
    let mut found: Vec<IpAddr> = first.filter_map(|address| address.parse().ok()).collect();
    found.dedup();
    found
}

fn names(context: &Context) -> Observation {
    let hosts = hosts(context);
    if hosts.is_empty() {
        return Observation::skipped("no host to look up: pass one with --reach HOST[:PORT]");
    }
    let Some(lookups) = look_up(&hosts) else {
        return Observation::skipped("this image has no getent");
    };
    for ((host, _), lookup) in hosts.iter().zip(lookups) {
        match lookup {
            Lookup::TimedOut => {
                let found = format!(
                    "no response with the address of {host} within {} ms",
                    LOOKUP_TIMEOUT.as_millis()
                );
                return Observation::problem(NO_ANSWER, found).fill("host", host);
            }
            Lookup::Addresses(found) if found.is_empty() => {
                return Observation::problem(UNKNOWN, format!("{host} has no address"))
                    .fill("host", host);
            }
            Lookup::Addresses(_) => {}
        }
    }
    let names: Vec<_> = hosts.into_iter().map(|(host, _)| host).collect();
    Observation::ok(names.join(", "))
}

fn tcp(context: &Context) -> Observation {
    let hosts = hosts(context);
    if hosts.is_empty() {
        return Observation::skipped("no host to reach: pass one with --reach HOST[:PORT]");
    }
    let lookups = look_up(&hosts).unwrap_or_default();
    for (index, (host, port)) in hosts.iter().enumerate() {
        let found = match lookups.get(index) {
            Some(Lookup::Addresses(found)) => &found[..],
            _ => &[],
        };
        let Some(address) = found.first() else {
            return Observation::skipped(format!("the address of {host} is not known"));
        };
        if let Err(why) = connect(found, *port) {
            return Observation::problem(UNREACHABLE, format!("{host}:{port}: {why}"))
                .fill("cidr", cidr(*address))
                .fill("port", port.to_string());
        }
    }
    let reached = hosts.iter().map(|(host, port)| format!("{host}:{port}"));
    Observation::ok(reached.collect::<Vec<_>>().join(", "))
}

/// Returns the CIDR block of this address alone.
fn cidr(address: IpAddr) -> String {
    let length = if address.is_ipv4() { 32 } else { 128 };
    format!("{address}/{length}")
}

/// Connects to the first address that accepts, of at most three.
fn connect(addresses: &[IpAddr], port: u16) -> Result<(), String> {
    let mut why = String::new();
    for address in addresses.iter().take(3) {
        match TcpStream::connect_timeout(&SocketAddr::new(*address, port), CONNECT_TIMEOUT) {
            Ok(_) => return Ok(()),
            Err(error) => {
                why = error.raw_os_error().map_or_else(
                    || {
                        format!(
                            "{address}: no response within {} s",
                            CONNECT_TIMEOUT.as_secs()
                        )
                    },
                    |errno| format!("{address}: {}", errno_text(Errno::from_raw(errno))),
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
    fn host_parses_with_and_without_port() {
        let host = |text: &str| host_and_port(text);
        assert_eq!(host("ghcr.io"), ("ghcr.io".to_owned(), 443));
        assert_eq!(host("127.0.0.1:5000"), ("127.0.0.1".to_owned(), 5000));
        assert_eq!(host("https://ghcr.io/v2/"), ("ghcr.io".to_owned(), 443));
        assert_eq!(host("http://ci.example/a"), ("ci.example".to_owned(), 80));
        assert_eq!(host("[::1]:80"), ("::1".to_owned(), 80));
        assert_eq!(host("::1"), ("::1".to_owned(), 443));
    }

    #[test]
    fn cidr_has_one_address_of_either_kind() {
        assert_eq!(cidr("192.0.2.1".parse().unwrap()), "192.0.2.1/32");
        assert_eq!(cidr("2001:db8::1".parse().unwrap()), "2001:db8::1/128");
    }

    #[test]
    fn getent_addresses_are_listed_once() {
        let text =
            "::1             STREAM localhost\n::1             DGRAM  \n127.0.0.1       STREAM \n";
        assert_eq!(
            addresses(text),
            ["::1", "127.0.0.1"].map(|address| address.parse::<IpAddr>().unwrap())
        );
        assert!(addresses("").is_empty());
    }

    #[test]
    fn lookup_times_out_without_response() {
        let mut sleep = std::process::Command::new("sleep");
        let child = sleep.arg("1000").stdout(Stdio::piped()).spawn().unwrap();
        let lookup = Query::Getent(child).finish(Instant::now());
        assert!(matches!(lookup, Lookup::TimedOut));
    }

    #[test]
    fn connect_names_errno_of_a_closed_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let local = ["127.0.0.1".parse().unwrap()];
        assert_eq!(connect(&local, port), Ok(()));
        // No other test can listen on port 1, unlike on a port that this test closed.
        assert!(connect(&local, 1).unwrap_err().contains("ECONNREFUSED"));
    }
}
